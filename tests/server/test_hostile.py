"""Hostile requests of the research table: rows 1 to 9, 18, 19, 20, 28, 42, 43, 47."""

import asyncio
import os

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.identity import token_text
from registry_grpc.services.validation import validate
from registry_grpc.v1 import (
    artifacts_pb2,
    common_pb2,
    metadata_pb2,
    models_pb2,
    stages_pb2,
    versions_pb2,
)
from tests.server.edge import BEARER, CODES, NOW, READ, TEXT, UNARY, edge, info_in, token

MALFORMED = {
    "random bytes": b"\xff\xfe\xfd\xfc" * 20,
    "truncated length": b"\x0a\x7fabc",
    "bad utf-8": b"\x0a\x02\xc3\x28",
    "nested 101": b"\x0b" * 101 + b"\x0c" * 101,
    "nested 20000": b"\x0b" * 20_000,
}


@pytest.mark.promise("P14", "messages")
@pytest.mark.parametrize("name", MALFORMED)
async def test_bytes_that_are_no_message_are_invalid(tmp_path, name):
    async with edge(tmp_path) as it:
        call = it.channel.unary_stream(READ)(MALFORMED[name], metadata=BEARER)
        with pytest.raises(aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is CODES.INVALID_ARGUMENT
        assert info_in(caught.value).reason == "MALFORMED_REQUEST"


async def test_unknown_fields_are_dropped(tmp_path):
    async with edge(tmp_path) as it:
        await it.raw(UNARY, (b"\xfa\x7f\x64" + b"x" * 100) * 1000)


async def test_too_large_messages_and_headers_are_refused_by_the_transport(tmp_path):
    async with edge(tmp_path) as it:
        for data, metadata in (
            (os.urandom(5 * 2**20 + 1), BEARER),
            (b"", (*BEARER, ("x-large", "a" * 200_000))),
        ):
            with pytest.raises(aio.AioRpcError) as caught:
                await it.raw(UNARY, data, metadata=metadata)
            assert caught.value.code() is CODES.RESOURCE_EXHAUSTED
        await it.raw(UNARY)


async def test_a_compressed_bomb_is_refused(tmp_path):
    import grpc

    async with edge(tmp_path) as it:
        with pytest.raises(aio.AioRpcError) as caught:
            await it.raw(UNARY, bytes(30 * 2**20), compression=grpc.Compression.Gzip)
        assert caught.value.code() is CODES.RESOURCE_EXHAUSTED


async def test_paths_that_are_nearly_right_are_unimplemented(tmp_path):
    async with edge(tmp_path) as it:
        for path in ("/" + UNARY, UNARY + "?x", UNARY.lower(), UNARY + "/..", "/%72egistry"):
            with pytest.raises(aio.AioRpcError) as caught:
                await it.raw(path)
            assert caught.value.code() is CODES.UNIMPLEMENTED


OTHER = token_text(b"\x09" * 9, b"\x02" * 32)
WRONG = token_text(b"\x01" * 9, b"\x03" * 32)
UNPROVEN = {
    "none": ((), "TOKEN_MISSING"),
    "basic": ((("authorization", "Basic dTpw"),), "TOKEN_INVALID"),
    "empty": ((("authorization", "Bearer "),), "TOKEN_INVALID"),
    "two": ((*BEARER, *BEARER), "TOKEN_INVALID"),
    "9 KiB": ((("authorization", "Bearer " + "a" * 7000),), "TOKEN_INVALID"),
    "unknown id": ((("authorization", f"Bearer {OTHER}"),), "TOKEN_INVALID"),
    "wrong secret": ((("authorization", f"Bearer {WRONG}"),), "TOKEN_INVALID"),
    "bad checksum": ((("authorization", f"Bearer {str(TEXT)[:-6]}zzzzzz"),), "TOKEN_INVALID"),
}


@pytest.mark.promise("P14", "messages")
@pytest.mark.parametrize("name", UNPROVEN)
async def test_a_caller_without_one_good_token_is_unauthenticated(tmp_path, name):
    metadata, reason = UNPROVEN[name]
    async with edge(tmp_path) as it:
        with pytest.raises(aio.AioRpcError) as caught:
            await it.raw(UNARY, metadata=metadata)
        assert caught.value.code() is CODES.UNAUTHENTICATED
        assert info_in(caught.value).reason == reason
        label = reason.removeprefix("TOKEN_").lower()
        assert await it.metric("registry_auth_failures_total", reason=label) == 1


async def test_unknown_id_and_wrong_secret_read_the_same(tmp_path):
    async with edge(tmp_path) as it:
        texts = set()
        for name in ("unknown id", "wrong secret"):
            with pytest.raises(aio.AioRpcError) as caught:
                await it.raw(UNARY, metadata=UNPROVEN[name][0])
            texts.add(caught.value.details())
        assert len(texts) == 1


async def test_expired_and_revoked_tokens_say_so(tmp_path):
    async with edge(tmp_path) as it:
        for changes, reason in (
            ({"expire_time": NOW}, "TOKEN_EXPIRED"),
            ({"revoke_time": NOW}, "TOKEN_REVOKED"),
        ):
            it.tokens[TEXT.id] = token(**changes)
            with pytest.raises(aio.AioRpcError) as caught:
                await it.raw(UNARY)
            assert info_in(caught.value).reason == reason


async def test_health_needs_no_token_and_reflection_does(tmp_path):
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async with edge(tmp_path) as it:
        health = health_pb2_grpc.HealthStub(it.channel)
        reply = await health.Check(health_pb2.HealthCheckRequest(service="liveness"))
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
        stub = reflection_pb2_grpc.ServerReflectionStub(it.channel)
        question = [reflection_pb2.ServerReflectionRequest(list_services="")]
        with pytest.raises(aio.AioRpcError) as caught:
            async for _ in stub.ServerReflectionInfo(iter(question)):
                pass
        assert caught.value.code() is CODES.UNAUTHENTICATED
        replies = [reply async for reply in stub.ServerReflectionInfo(iter(question), metadata=BEARER)]
        names = {each.name for each in replies[0].list_services_response.service}
        assert "registry_grpc.v1.ServerService" in names


MODEL = "projects/p/models/m"
DRAFT = f"{MODEL}/versions/1"


def metric(**fields):
    return versions_pb2.CreateVersionRequest(
        parent=MODEL,
        version=versions_pb2.ModelVersion(metrics=[metadata_pb2.Metric(name="auc", **fields)]),
    )


INVALID = {
    "enum 999": (metric(direction=999), "version.metrics[0].direction"),
    "repeated enum 999": (
        versions_pb2.ListVersionsRequest(parent=MODEL, states=[1, 999]),
        "states[1]",
    ),
    "oneof unset": (stages_pb2.ResolveRequest(name=MODEL), "selector"),
    "negative size": (
        artifacts_pb2.StartUploadRequest(parent=DRAFT, path="a", size_bytes=-1),
        "size_bytes",
    ),
    "largest size": (
        artifacts_pb2.StartUploadRequest(parent=DRAFT, path="a", size_bytes=2**63 - 1),
        "size_bytes",
    ),
    "year 0": (
        metric(measure_time=Timestamp(seconds=-62_135_596_801)),
        "version.metrics[0].measure_time",
    ),
    "year 10000": (
        metric(measure_time=Timestamp(seconds=253_402_300_800)),
        "version.metrics[0].measure_time",
    ),
    "nanos 2e9": (
        metric(measure_time=Timestamp(nanos=2 * 10**9)),
        "version.metrics[0].measure_time",
    ),
    "request id of 300": (
        models_pb2.CreateModelRequest(parent="projects/p", model_id="m", request_id="a" * 300),
        "request_id",
    ),
    "request id no uuid": (
        models_pb2.CreateModelRequest(parent="projects/p", model_id="m", request_id="7"),
        "request_id",
    ),
    "negative page": (models_pb2.ListModelsRequest(parent="projects/p", page_size=-1), "page_size"),
    "digest upper case": (
        artifacts_pb2.FindMissingArtifactsRequest(parent="projects/p", digests=[common_pb2.Digest(sha256="A" * 64)]),
        "digests[0].sha256",
    ),
    "unc path": (
        versions_pb2.CreateVersionRequest(
            parent=MODEL,
            version=versions_pb2.ModelVersion(
                provenance=metadata_pb2.Provenance(training_run=metadata_pb2.TrainingRun(uri="\\\\host\\x"))
            ),
        ),
        "version.provenance.training_run.uri",
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_a_bad_field_is_named(name):
    message, field = INVALID[name]
    with pytest.raises(RegistryError) as caught:
        validate(message)
    assert caught.value.reason is Reason.INVALID_FIELD
    assert [each.subject for each in caught.value.violations] == [field]


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "http://169.254.169.254/", "s3://b/k#f"])
def test_uris_are_labels_and_never_judged_by_where_they_point(uri):
    run = metadata_pb2.TrainingRun(uri=uri)
    version = versions_pb2.ModelVersion(provenance=metadata_pb2.Provenance(training_run=run))
    validate(versions_pb2.CreateVersionRequest(parent=MODEL, version=version))


async def test_a_slow_probe_does_not_hold_up_calls(tmp_path):
    async def hang():
        await asyncio.sleep(60)

    async with edge(tmp_path, probes={"database": hang}) as it:
        await it.raw(UNARY)
        assert not it.server.health.ready
        assert "database" in it.server.health.failing
