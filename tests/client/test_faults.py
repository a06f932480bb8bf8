"""Shapes of failure no healthy server shows, from a server that lies on purpose."""
# ruff: noqa: N802, ARG002 -- methods of a servicer

import hashlib
import importlib
import json
import pkgutil
from concurrent import futures

import grpc
import pytest
from crc32c import crc32c

from registry_grpc import v1
from registry_grpc.client import Conflict, IntegrityError, Registry, Unavailable, manifest, retries
from registry_grpc.client.channel import service_config
from registry_grpc.domain.errors import Reason
from registry_grpc.domain.errors import RegistryError as DomainError
from registry_grpc.services.errors import status_of, wire_status
from registry_grpc.v1 import (
    artifacts_pb2,
    artifacts_pb2_grpc,
    common_pb2,
    models_pb2,
    models_pb2_grpc,
    stages_pb2,
    stages_pb2_grpc,
)

CONTENT = bytes(range(256)) * 8192


def abort(context, reason, **facts):
    wire = wire_status(status_of(DomainError(reason, "on purpose", **facts), "r"))
    context.set_trailing_metadata(wire.trailing_metadata)
    context.abort(wire.code, wire.details)


class Liar(
    artifacts_pb2_grpc.ArtifactServiceServicer,
    models_pb2_grpc.ModelServiceServicer,
    stages_pb2_grpc.StageServiceServicer,
):
    def __init__(self):
        self.path = "w.bin"
        self.content = CONTENT
        self.served = CONTENT
        self.manifest = ""
        self.cuts = 0
        self.bad_crcs = 0
        self.reads = []
        self.calls = []

    def artifact(self):
        digest = common_pb2.Digest(sha256=hashlib.sha256(self.content).hexdigest(), size_bytes=len(self.content))
        return artifacts_pb2.Artifact(
            name="projects/default/models/m/versions/1/artifacts/x", path=self.path, digest=digest
        )

    def Resolve(self, request, context):
        made = self.artifact()
        file = manifest.FileDigest(made.path, made.digest.sha256, made.digest.size_bytes)
        return stages_pb2.ResolveResponse(
            version="projects/default/models/m/versions/1",
            manifest_digest=self.manifest or manifest.manifest_digest([file]),
            file_count=1,
            artifacts=[made],
        )

    def GetArtifact(self, request, context):
        return self.artifact()

    def ReadArtifact(self, request, context):
        self.reads.append(request.read_offset)
        yield artifacts_pb2.ReadArtifactResponse(artifact=self.artifact(), offset=request.read_offset)
        for offset in range(request.read_offset, len(self.served), 65536):
            chunk = self.served[offset : offset + 65536]
            crc = crc32c(chunk)
            if offset >= 1_000_000 and self.bad_crcs:
                self.bad_crcs -= 1
                crc ^= 1
            if offset >= 1_000_000 and self.cuts:
                self.cuts -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
            yield artifacts_pb2.ReadArtifactResponse(offset=offset, chunk=common_pb2.Chunk(content=chunk, crc32c=crc))

    def CreateModel(self, request, context):
        self.calls.append((request.request_id, dict(context.invocation_metadata())))
        context.set_trailing_metadata((("x-registry-revision", str(10 * len(self.calls))),))
        if len(self.calls) < 3:
            abort(context, Reason.TRANSACTION_CONFLICT)
        return models_pb2.Model(name=request.parent)

    def GetModel(self, request, context):
        self.calls.append(("", dict(context.invocation_metadata())))
        if "x-registry-min-revision" in self.calls[-1][1] and self.calls[-1][1]["x-registry-min-revision"] == "30":
            abort(context, Reason.REVISION_UNKNOWN)
        return models_pb2.Model(name=request.name)


@pytest.fixture
def liar(monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(retries, "MAX_ATTEMPTS", 3)
    servicer = Liar()
    process = grpc.server(futures.ThreadPoolExecutor(4))
    artifacts_pb2_grpc.add_ArtifactServiceServicer_to_server(servicer, process)
    models_pb2_grpc.add_ModelServiceServicer_to_server(servicer, process)
    stages_pb2_grpc.add_StageServiceServicer_to_server(servicer, process)
    servicer.endpoint = f"127.0.0.1:{process.add_insecure_port('127.0.0.1:0')}"
    process.start()
    yield servicer
    process.stop(0).wait()


@pytest.fixture
def client(liar, tmp_path):
    with Registry(liar.endpoint, token="t", cache_dir=tmp_path / "cache") as made:
        yield made


def nothing_written(tmp_path):
    return [path for path in tmp_path.rglob("*") if path.is_file() and "locks" not in path.parts] == []


@pytest.mark.parametrize("path", ["../../etc/cron.d/x", "/etc/passwd", "a/../../b", ".git/hooks/post-checkout", "nul"])
def test_a_path_that_leaves_the_directory_is_never_written(liar, client, tmp_path, path):
    liar.path = path
    with pytest.raises(IntegrityError, match="nothing was written"):
        client.pull("m/1")
    assert nothing_written(tmp_path)


def test_a_file_list_that_is_not_what_was_pinned_is_refused(liar, client, tmp_path):
    liar.manifest = "sha256:" + "1" * 64
    with pytest.raises(IntegrityError, match="give manifest digest"):
        client.pull("m/1")
    assert nothing_written(tmp_path)


def test_bytes_that_are_not_what_was_listed_are_not_kept(liar, client, tmp_path):
    liar.served = CONTENT[:-1] + b"\0"
    with pytest.raises(IntegrityError, match="nothing was kept"):
        client.pull("m/1")
    assert nothing_written(tmp_path)
    with client.open_artifact("m/1", "w.bin") as stream, pytest.raises(IntegrityError):
        stream.read()


def test_too_many_bytes_are_refused(liar, client):
    liar.served = CONTENT + b"more"
    with pytest.raises(IntegrityError):
        client.pull("m/1")


def test_a_cut_stream_goes_on_where_it_ended(liar, client):
    liar.cuts = 2
    assert (client.pull("m/1") / "w.bin").read_bytes() == CONTENT
    assert liar.reads[0] == 0
    assert all(offset >= 1_000_000 for offset in liar.reads[1:])


def test_a_chunk_damaged_on_the_way_is_asked_for_again(liar, client):
    liar.bad_crcs = 1
    assert (client.pull("m/1") / "w.bin").read_bytes() == CONTENT
    assert len(liar.reads) == 2


def test_a_stream_that_never_moves_ends_in_an_error(liar, client):
    liar.cuts = 1000
    with pytest.raises(Unavailable):
        client.pull("m/1")
    assert len(liar.reads) <= 6


def test_a_mutation_is_repeated_under_one_request_id(liar, client):
    client.create_model("m")
    assert len(liar.calls) == 3
    assert len({request_id for request_id, _ in liar.calls}) == 1
    assert liar.calls[0][1]["authorization"] == "Bearer t"


def test_a_read_asks_for_what_was_written_and_forgets_it_when_another_registry_answers(liar, client):
    client.create_model("m")
    client.get_model("m")
    minimums = [facts.get("x-registry-min-revision") for _, facts in liar.calls[3:]]
    assert minimums == ["30", None]


def test_every_unary_call_of_the_contract_is_retried_and_no_stream():
    named = json.loads(service_config())["methodConfig"][0]["name"]
    retried = {(each["service"], each["method"]) for each in named}
    files = [importlib.import_module(f"registry_grpc.v1.{found.name}") for found in pkgutil.iter_modules(v1.__path__)]
    methods = [
        method
        for file in files
        if hasattr(file, "DESCRIPTOR")
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    unary = {
        (method.containing_service.full_name, method.name)
        for method in methods
        if not (method.client_streaming or method.server_streaming)
    }
    assert retried == unary


def test_a_superseded_writer_gives_way():
    assert not retries.is_transient(Conflict("taken over", reason="UPLOAD_SUPERSEDED"))
