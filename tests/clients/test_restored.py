"""The registry is put back to an older copy of itself under a client that wrote since, and the client goes on."""

import pytest

from registry_grpc.client import Registry
from tests.clients.driven import driving
from tests.conformance.running import LANGUAGES
from tests.kit.restores import keep_copy, put_back
from tests.kit.server import running

pytestmark = pytest.mark.timeout(600)
MODEL = "projects/default/models/m"


def written(text):
    """A write: from then on the reads of its client ask for its revision."""
    return {"call": "ModelService.UpdateModel", "request": {"model": {"name": MODEL, "owner": text}}}


@pytest.mark.parametrize("language", LANGUAGES)
def test_reads_and_writes_go_on_after_the_registry_was_put_back(language, tmp_path):
    file = tmp_path / "weights.bin"
    file.write_text("one")
    with running() as server:
        with Registry(server.endpoint, token=server.token, cache_dir=tmp_path / "cache") as registry:
            version = registry.push("m", file)
            (artifact,) = registry.list_artifacts("m/1")
        copy = keep_copy(server, tmp_path / "copy")
        steps = [
            written("lost"),
            {"wait": "put it back"},
            {"resolve": "default:m@latest"},
            written("kept for a moment"),
            {"wait": "put it back again"},
            {"read": artifact.name},
            {"call": "ModelService.GetModel", "request": {"name": MODEL}},
            written("kept"),
            {"call": "ModelService.GetModel", "request": {"name": MODEL}},
        ]
        with driving(language, server.endpoint, server.token, steps, tmp_path) as driver:
            driver.waiting()
            put_back(server, copy)
            driver.go()
            assert driver.outcome(2)["version"] == version.name
            driver.waiting()
            put_back(server, copy)
            driver.go()
            assert driver.outcome(5)["size"] == len("one")
            assert driver.outcome(6).get("owner", "") != "kept for a moment"
            assert driver.outcome(8)["owner"] == "kept"
