"""Files that lie about what they are, rows 68 to 70 of the hostile inputs: kept, and named for what they are."""

import json
import pickle
import struct

import pytest

from registry_grpc.v1 import artifacts_pb2, governance_pb2
from tests.kit.catalogue import Catalogue
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.governing import Governed
from tests.kit.refusals import refused
from tests.unit.format_samples import KEY, Evil, archive, gguf, safetensors, tensor, zipped

pytestmark = pytest.mark.promise("P14", "hostile files")
MANY = {str(at): tensor(at, at + 1) for at in range(20_000)}
TWICE = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{}}'


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as started:
        yield started


@pytest.fixture
def catalogue(server):
    api = server.api()
    yield Catalogue(api)
    api.close()


ROWS = {
    "68 header of 2^63 bytes": (
        "m.safetensors",
        safetensors({}, b"1234", length=1 << 63),
        "safetensors-invalid",
        False,
    ),
    "68 header above 16 MiB": (
        "m.safetensors",
        safetensors({}, b" " * (1 << 20), length=(16 << 20) + 1),
        "safetensors-invalid",
        False,
    ),
    "68 overlapping offsets": (
        "m.safetensors",
        safetensors({"a": tensor(0, 4), "b": tensor(2, 6)}, b"123456"),
        "safetensors-invalid",
        False,
    ),
    "68 duplicate keys": ("m.safetensors", safetensors(TWICE, b"1"), "safetensors-invalid", False),
    "68 tensors without end": (
        "m.safetensors",
        safetensors(json.dumps(MANY).encode(), b"x" * 20_000),
        "safetensors-unchecked",
        False,
    ),
    "68 polyglot with a ZIP": (
        "m.safetensors",
        safetensors({"a": tensor(0, 22)}, b"PK\x05\x06" + b"\0" * 18),
        "zip",
        False,
    ),
    "69 n_kv of 2^60": ("m.gguf", gguf(count=1 << 60), "gguf-invalid", False),
    "69 string beyond the file": (
        "m.gguf",
        gguf(KEY + struct.pack("<IQ", 8, 1 << 60) + b"x" * 100, count=1),
        "gguf-invalid",
        False,
    ),
    "69 type 255": ("m.gguf", gguf(KEY + struct.pack("<I", 255) + b"x" * 100, count=1), "gguf-invalid", False),
    "70 pickle": ("m.pkl", pickle.dumps(Evil()), "pickle", True),
    "70 pickle as .bin": ("m.bin", pickle.dumps(Evil(), 0), "pickle", True),
    "70 pickle as .safetensors": ("m.safetensors", pickle.dumps(Evil(), 4), "pickle", True),
    "70 ZIP with a pickle inside": ("m.bin", archive("archive/data.pkl", "archive/version"), "pytorch", True),
    "70 Keras with a lambda": (
        "m.bin",
        zipped(config_dot_json=b'{"class_name":"Lambda"}', metadata_dot_json=b"{}", model_dot_weights_dot_h5=b"x"),
        "keras",
        True,
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_file_is_kept_as_it_is_and_named_for_what_it_is(catalogue, row):
    path, content, kind, executable = ROWS[row]
    draft = catalogue.draft(catalogue.model())
    catalogue.upload(draft.name, path, content)
    version = catalogue.finalize(draft.name)
    (found,) = version.formats
    assert (found.name, found.executable, found.example_path) == (kind, executable, path)
    (listed,) = catalogue.api.artifacts.ListArtifacts(artifacts_pb2.ListArtifactsRequest(parent=version.name)).artifacts
    answers = catalogue.api.artifacts.ReadArtifact(artifacts_pb2.ReadArtifactRequest(name=listed.name))
    assert b"".join(answer.chunk.content for answer in answers) == content
    # The server is none the worse for it.
    assert catalogue.ready(catalogue.model()).formats


def test_70_a_policy_refuses_what_runs_code_when_loaded(server):
    world = Governed(server)
    no_code = governance_pb2.PolicyRule(id="no-code", formats=governance_pb2.AllowedFormats(no_executable=True))
    world.policy(no_code, stages=("staging",))
    bad, good = (
        world.catalogue.ready(world.model, content).name for content in (pickle.dumps(Evil()), safetensors({}))
    )
    refusal = refused(world.catalogue.promote, bad, "staging")
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "POLICY_VIOLATION")
    world.catalogue.promote(good, "staging")
    world.close()
