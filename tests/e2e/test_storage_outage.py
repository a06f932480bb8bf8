"""The store of bytes dies under a running server: what needs no bytes goes on, and all of it comes back by itself."""

import time

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import stages_pb2, versions_pb2
from tests.kit import engines
from tests.kit.server import distributed, running
from tests.kit.uploads import (
    PART,
    Content,
    Held,
    Registry,
    eventually,
    finish,
    part_of_stream,
    refused,
    stream,
)

COMMITTED = pb.Upload.STATE_COMMITTED
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def engine():
    with engines.private_minio() as engine:
        yield engine


@pytest.fixture
def registry(engine, postgres_url):
    bucket = engines.Bucket(engine.endpoint, engine.access_key, engine.secret_key, "registry")
    bucket.client().make_bucket(bucket_name=bucket.name)
    settings = distributed(postgres_url, bucket)
    with running(settings) as server:
        yield Registry.of(server)


def health(registry, service=""):
    stub = health_pb2_grpc.HealthStub(registry.api.channel)
    return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=2).status


def refused_soon(call):
    """What a call that needs the store is told: to come back, and within two seconds."""
    began = time.monotonic()
    refusal = refused(call)
    seconds = time.monotonic() - began
    assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert refusal.retry_s
    assert seconds < 2
    return refusal


def test_a_dead_store_stops_bytes_only_and_everything_recovers_without_a_restart(engine, registry):
    content = Content(2 * PART + 1000)
    ready = registry.draft()
    artifact = registry.push(ready, "model.bin", content)
    registry.finalize(ready)
    model = ready.partition("/versions/")[0]
    version = registry.draft()
    cut = registry.start(version, "cut.bin", content.size_bytes).name
    other = Content(content.size_bytes)
    registry.write(part_of_stream(cut, other, 0, PART))
    small, small_content = registry.start(version, "small.bin", 1000).name, Content(1000)
    # A second upload is under way while the store dies.
    torn = registry.start(version, "torn.bin", content.size_bytes).name
    half = Held([])

    def torn_messages():
        yield from part_of_stream(torn, other, 0, PART)
        yield from half
        yield from part_of_stream(torn, other, PART, 2 * PART)
        yield from part_of_stream(torn, other, 2 * PART, content.size_bytes)
        yield finish(torn, other)

    call = registry.writing(torn_messages())
    eventually(lambda: registry.upload(torn).persisted_size == PART)
    assert (health(registry), health(registry, "liveness")) == (SERVING, SERVING)

    engine.kill()

    # Bytes: told at once, with a hint when to come back.
    half.let_go()
    refused_soon(lambda: call.result(timeout=20))
    refused_soon(lambda: registry.write(stream(cut, other, PART)))
    refused_soon(lambda: registry.write(stream(small, small_content)))
    refused_soon(lambda: registry.read(artifact.name))
    refused_soon(lambda: registry.read(artifact.name, read_offset=PART, read_limit=1))
    # Everything else answers.
    resolved = registry.api.stages.Resolve(stages_pb2.ResolveRequest(name=model, stage="development"), timeout=2)
    assert resolved.version == ready
    assert registry.api.artifacts.GetArtifact(pb.GetArtifactRequest(name=artifact.name), timeout=2) == artifact
    assert len(registry.state(ready)[1]) == 1
    fresh = registry.draft()
    assert registry.start(fresh, "copy.bin", 5).state == pb.Upload.STATE_ACTIVE
    assert registry.upload(cut).persisted_size == PART
    # Balancers send nobody here, and nobody restarts the process.
    eventually(lambda: health(registry) == NOT_SERVING)
    assert health(registry, "liveness") == SERVING

    engine.start()

    eventually(lambda: health(registry) == SERVING)
    assert registry.read(artifact.name) == content.whole
    for name in (cut, torn):
        persisted = registry.upload(name).persisted_size
        assert persisted == PART
        upload = registry.write(stream(name, other, persisted))
        assert upload.state == COMMITTED
        assert registry.read(upload.artifact.name) == other.whole
    assert registry.write(stream(small, small_content)).artifact.digest == small_content.digest
    assert registry.finalize(version).file_count == 3


def test_finalizing_while_the_store_is_dead_is_unavailable_and_works_afterwards(engine, registry):
    version = registry.draft()
    registry.push(version, "model.safetensors", Content(1000))
    engine.kill()

    refused_soon(lambda: registry.finalize(version))
    assert registry.api.models.GetVersion(versions_pb2.GetVersionRequest(name=version)).file_count == 1
    engine.start()

    assert registry.finalize(version).manifest_digest


def test_an_upload_cancelled_while_the_store_is_dead_is_cancelled_and_cleared_by_cancelling_again(engine, registry):
    content = Content(2 * PART)
    name = registry.start(registry.draft(), "model.bin", content.size_bytes).name
    registry.write(part_of_stream(name, content, 0, PART))
    engine.kill()

    refused_soon(lambda: registry.cancel(name))
    assert registry.upload(name).state == pb.Upload.STATE_CANCELLED
    engine.start()

    assert registry.cancel(name).state == pb.Upload.STATE_CANCELLED
