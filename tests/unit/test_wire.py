"""Messages put together, or taken apart, by hand are what protobuf makes of the same fields."""

import pytest
from crc32c import crc32c
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from registry_grpc.v1 import artifacts_pb2, catalogue_pb2, common_pb2, versions_pb2
from registry_grpc.wire import chunk_message, submessage, without_content

FIELD = artifacts_pb2.ReadArtifactResponse.CHUNK_FIELD_NUMBER


@pytest.mark.parametrize("size", [0, 1, 120, 121, 127, 128, 16383, 16384, 1 << 20])
@pytest.mark.parametrize("offset", [0, 1, 1 << 40])
def test_it_is_the_same_message(size, offset):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    rest = artifacts_pb2.ReadArtifactResponse(offset=offset, artifact=artifacts_pb2.Artifact(path="model.bin"))
    chunk = common_pb2.Chunk(content=content, crc32c=crc32c(content))
    expected = artifacts_pb2.ReadArtifactResponse(offset=offset, artifact=rest.artifact, chunk=chunk)
    made = chunk_message(rest.SerializeToString(), FIELD, content)
    assert artifacts_pb2.ReadArtifactResponse.FromString(made) == expected
    assert made == expected.SerializeToString() or size == 0


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384])
def test_a_page_of_messages_is_the_same_as_one_made_of_them(size):
    versions = [versions_pb2.ModelVersion(name=f"v{at}", description="d" * size) for at in range(3)]
    rest = catalogue_pb2.SearchVersionsResponse(next_page_token="token", facets=[catalogue_pb2.Facet(field="owner")])
    matches = [submessage(1, version.SerializeToString()) for version in versions]
    made = b"".join([*(submessage(1, match) for match in matches), rest.SerializeToString()])
    rest.matches.extend(catalogue_pb2.VersionMatch(version=version) for version in versions)
    assert catalogue_pb2.SearchVersionsResponse.FromString(made) == rest
    assert made == rest.SerializeToString()


WRITE = artifacts_pb2.WriteUploadRequest
CHUNK = WRITE.CHUNK_FIELD_NUMBER


def tagged(number, content):
    """A length-delimited field below 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


CONTENT, CHECKSUM = tagged(1, b"bytes"), b"\x15\x01\x02\x03\x04"
PIECES = st.sampled_from(
    [
        WRITE(name="projects/p/uploads/u").SerializeToString(),
        WRITE(write_offset=1 << 40).SerializeToString(),
        WRITE(finish_write=True, digest=common_pb2.Digest(sha256="ab", size_bytes=3)).SerializeToString(),
        tagged(CHUNK, CONTENT + CHECKSUM),
        tagged(CHUNK, CHECKSUM + CONTENT),
        tagged(CHUNK, CHECKSUM),
        tagged(CHUNK, CONTENT + CONTENT),
        tagged(CHUNK, tagged(9, b"unknown") + CONTENT),
        tagged(CHUNK, b""),
        tagged(14, b"unknown"),
        bytes([15 << 3 | 1]) + bytes(8),  # unknown, 64 bits
        b"\xa2\x06\x02hi",  # unknown, number 100
        bytes([CHUNK << 3, 5]),  # the chunk's number as a varint
        bytes([15 << 3 | 3, 15 << 3 | 4]),  # a group
        bytes([15 << 3 | 4]),  # the end of a group that never began
        b"\xff" * 11,
        b"\x00",
    ]
)


@given(pieces=st.lists(PIECES, max_size=5), cut=st.integers(0, 30))
@example(pieces=[tagged(CHUNK, CONTENT + CHECKSUM)], cut=0)
def test_taking_a_message_apart_changes_nothing_of_it(pieces, cut):
    raw = b"".join(pieces)
    raw = raw[: len(raw) - cut] if cut < len(raw) else raw
    taken = without_content(raw, CHUNK)
    try:
        whole = WRITE.FromString(raw)
    except DecodeError:
        # Then what is left must be refused as well.
        if taken:
            with pytest.raises(DecodeError):
                WRITE.FromString(taken[0])
        return
    if taken is None:
        return
    rest, content = WRITE.FromString(taken[0]), taken[1]
    assert content == whole.chunk.content
    assert not rest.chunk.content
    rest.chunk.content = bytes(content)
    assert rest.SerializeToString(deterministic=True) == whole.SerializeToString(deterministic=True)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 1 << 20])
def test_what_an_encoder_writes_is_taken_apart_without_a_copy(size):
    content = bytes(size)
    request = WRITE(name="n", write_offset=7, chunk=common_pb2.Chunk(content=content, crc32c=1), finish_write=True)
    rest = WRITE(name="n", write_offset=7, finish_write=True)
    for raw in (request.SerializeToString(), chunk_message(rest.SerializeToString(), CHUNK, content)):
        taken = without_content(raw, CHUNK)
        if taken is None:
            assert not size  # an encoder may leave out what is empty
            continue
        assert taken[1].obj is raw
        assert taken[1] == content
        assert len(taken[0]) < 40
