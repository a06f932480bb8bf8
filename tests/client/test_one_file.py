"""One file up into a draft, and its bytes back, without a push or a pull."""

import hashlib
import io
import os

import pytest

from registry_grpc.client import InvalidArgument, NotFound, OutOfRange

MIB = 1 << 20


@pytest.fixture
def draft(registry):
    registry.create_model("single")
    yield registry.create_version("single").name
    registry.delete_model("single", force=True)
    registry.purge_model("single")


def test_a_file_goes_up_and_comes_back(registry, draft, tmp_path):
    content = os.urandom(20 * MIB + 7)
    (tmp_path / "w.bin").write_bytes(content)
    told = []
    artifact = registry.upload(draft, "weights/w.bin", tmp_path / "w.bin", progress=told.append)
    assert artifact.path == "weights/w.bin"
    assert artifact.digest.sha256 == hashlib.sha256(content).hexdigest()
    assert told[-1].done_bytes == len(content)
    assert b"".join(registry.read(artifact.name)) == content
    assert b"".join(registry.read(artifact.name, 16 * MIB - 3, 9)) == content[16 * MIB - 3 : 16 * MIB + 6]
    assert b"".join(registry.read(artifact.name, len(content) - 2)) == content[-2:]
    assert b"".join(registry.read(artifact.name, len(content))) == b""


def test_a_stream_goes_up_whole(registry, draft):
    artifact = registry.upload(draft, "s.txt", io.BytesIO(b"streamed" * 1000))
    assert artifact.digest.size_bytes == 8000
    again = registry.upload(draft, "s.txt", io.BytesIO(b"other"))
    assert again.name == artifact.name
    assert b"".join(registry.read(again.name)) == b"other"


def test_what_cannot_be_sent_or_read_is_refused(registry, draft, tmp_path):
    with pytest.raises(InvalidArgument, match="does not exist"):
        registry.upload(draft, "a", tmp_path / "none")
    with pytest.raises(InvalidArgument, match="absolute"):
        registry.upload(draft, "/a", io.BytesIO(b"x"))
    artifact = registry.upload(draft, "a", io.BytesIO(b"abc"))
    with pytest.raises(OutOfRange, match="beyond the end"):
        registry.read(artifact.name, 4)
    with pytest.raises(InvalidArgument, match="negative"):
        registry.read(artifact.name, -1)
    with pytest.raises(NotFound):
        registry.read(artifact.name[:-1] + "a")
