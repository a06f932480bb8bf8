"""How the messages of an upload are read: without copying their bytes, and without keeping more than their bytes."""

import grpc
import pytest
from prometheus_client import CollectorRegistry

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.observability.rpc_metrics import RpcMetrics
from registry_grpc.server.interceptors.methods import LIFTED_BYTES, MAX_REST_BYTES, WRITE_UPLOAD, Method
from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import common_pb2


@pytest.fixture(scope="module")
def receive():
    handler = grpc.stream_unary_rpc_method_handler(None, request_deserializer=pb.WriteUploadRequest.FromString)
    return Method(WRITE_UPLOAD, handler, RpcMetrics(CollectorRegistry())).receive


def request(size, **fields):
    chunk = common_pb2.Chunk(content=bytes(size), crc32c=7)
    return pb.WriteUploadRequest(write_offset=5, chunk=chunk, **fields)


def padded(size):
    """An unknown field of that many bytes."""
    return pb.WriteUploadRequest(name="x" * size).SerializeToString().replace(b"\x0a", b"\x7a", 1)


def test_a_large_chunk_is_a_view_of_its_message(receive):
    raw = request(1 << 20).SerializeToString()
    seen, item = receive(raw)

    assert item.request is seen
    assert item.content.obj is raw
    assert item.content == bytes(1 << 20)
    assert (seen.write_offset, seen.chunk.crc32c, seen.chunk.content) == (5, 7, b"")


def test_a_small_message_is_copied(receive):
    _, item = receive(request(LIFTED_BYTES // 2).SerializeToString())

    assert type(item.content) is bytes
    assert len(item.content) == LIFTED_BYTES // 2


def test_a_message_that_is_mostly_something_else_is_not_kept_with_its_bytes(receive):
    raw = request(64 << 10).SerializeToString() + padded(3 << 20)
    _, item = receive(raw)

    assert type(item.content) is bytes
    assert item.content == bytes(64 << 10)
    _, item = receive(request(64 << 10).SerializeToString() + padded(MAX_REST_BYTES // 2))
    assert type(item.content) is memoryview


def test_a_large_message_that_is_none_is_refused(receive):
    with pytest.raises(RegistryError) as caught:
        receive(b"\xff" * LIFTED_BYTES)

    assert caught.value.reason is Reason.MALFORMED_REQUEST
