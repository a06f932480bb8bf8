"""The server is killed while a client uploads, and while it watches."""

import pytest

from registry_grpc.client import Registry
from registry_grpc.client.manifest import FileDigest, manifest_digest
from tests.clients.driven import driving
from tests.conformance.cases import sha256_of, write
from tests.conformance.running import LANGUAGES
from tests.kit.server import distributed, running

pytestmark = pytest.mark.timeout(600)
MIB = 1 << 20
SIZE = 512 * MIB
PERSISTED_BEHIND = 128 * MIB
"""What may be on its way when the server dies, and is sent again: parts not recorded, and what the transport holds."""
MODELS = 40


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_upload_goes_on_when_the_server_was_killed(language, postgres_url, minio_bucket, tmp_path):
    file = tmp_path / "files" / "weights.bin"
    write(file, {"size": SIZE, "seed": language})
    steps = [{"push": "m", "parent": "projects/default", "path": str(file.parent), "progress": True}]
    with running(distributed(postgres_url, minio_bucket)) as server:
        with driving(language, server.endpoint, server.token, steps, tmp_path) as driver:
            half = driver.until(lambda line: line.get("progress", {}).get("sent", 0) >= SIZE // 2)
            server.kill()
            server.start()
            version = driver.outcome(0)
        after = [
            line["progress"]["sent"] for line in driver.lines[driver.lines.index(half) + 1 :] if "progress" in line
        ]
        assert version["manifestDigest"] == manifest_digest([FileDigest("weights.bin", sha256_of(file), SIZE)])
        assert min(after) >= half["progress"]["sent"] - PERSISTED_BEHIND, after
        with Registry(server.endpoint, token=server.token) as registry:
            assert registry.get_version("m/1").state
            assert [each.digest.sha256 for each in registry.list_artifacts("m/1")] == [sha256_of(file)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_watch_misses_nothing_when_the_server_was_killed(language, tmp_path):
    steps = [
        {"watch": "w", "parent": "projects/default", "types": ["Model"], "state": True},
        {"changes": "w", "count": 1},
        {"wait": "begin"},
        {"changes": "w", "count": MODELS, "live": True},
        {"close": "w"},
    ]
    with running() as server, driving(language, server.endpoint, server.token, steps, tmp_path) as driver:
        driver.waiting()
        driver.go()
        made = []
        for number in range(MODELS):
            if number == MODELS // 2:
                driver.until(lambda line: line.get("change", {}).get("kind") == "EVENT")
                server.kill()
                server.start()
            with Registry(server.endpoint, token=server.token) as registry:
                made.append(registry.create_model(f"m{number:02}").name)
        told = driver.outcome(3)["changes"]
    assert [change["resource"] for change in told] == made
    revisions = [int(change["revision"]) for change in told]
    assert revisions == sorted(set(revisions))
