"""Chunk messages put together by hand are what protobuf makes of the same fields."""

import google_crc32c
import pytest

from registry_grpc.v1 import artifacts_pb2, common_pb2
from registry_grpc.wire import chunk_message

FIELD = artifacts_pb2.ReadArtifactResponse.CHUNK_FIELD_NUMBER


@pytest.mark.parametrize("size", [0, 1, 120, 121, 127, 128, 16383, 16384, 1 << 20])
@pytest.mark.parametrize("offset", [0, 1, 1 << 40])
def test_it_is_the_same_message(size, offset):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    rest = artifacts_pb2.ReadArtifactResponse(offset=offset, artifact=artifacts_pb2.Artifact(path="model.bin"))
    chunk = common_pb2.Chunk(content=content, crc32c=google_crc32c.value(content))
    expected = artifacts_pb2.ReadArtifactResponse(offset=offset, artifact=rest.artifact, chunk=chunk)
    made = chunk_message(rest.SerializeToString(), FIELD, content)
    assert artifacts_pb2.ReadArtifactResponse.FromString(made) == expected
    assert made == expected.SerializeToString() or size == 0
