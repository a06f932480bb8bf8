"""Verified reads and read-back over every store."""

import dataclasses
import hashlib
import secrets
import tracemalloc
from datetime import UTC, datetime

import pytest

from registry_grpc.domain.artifacts import BLOCK_BYTES, MIB, Blob
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.ports.artifacts import MissingObjectError
from registry_grpc.storage.artifacts.hashing import PartHasher, verify_whole
from registry_grpc.storage.artifacts.verifying import VerifiedReads
from tests.contract.artifacts.conftest import send

SIZE = 2 * BLOCK_BYTES + 12_345


def stored(store, key, data: bytes) -> Blob:
    hasher = PartHasher()
    upload = store.begin(key, {"upload-id": "u"})
    pieces = [data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES)]
    blocks = b"".join(hasher.update([piece]) for piece in pieces)
    store.complete(key, upload, send(store, key, upload, *pieces))
    hashed = hasher.result()
    assert hashed.block_digests == blocks
    return Blob(
        uid="b",
        project="p",
        digest=hashed.digest,
        key=key,
        block_digests=blocks,
        create_time=datetime.now(UTC),
    )


def test_ranges_across_blocks_are_the_stored_bytes(store, key):
    data = secrets.token_bytes(SIZE)
    blob = stored(store, key, data)
    assert blob.digest.sha256 == hashlib.sha256(data).hexdigest()
    reads = VerifiedReads(store)
    edge = BLOCK_BYTES
    for offset, length in [(0, SIZE), (edge - 1, 2), (5, 1), (edge, edge), (SIZE - 1, 99), (0, 0)]:
        chunks = list(reads.read(blob, offset, length))
        assert b"".join(chunks) == data[offset : offset + length]
        assert all(0 < len(chunk) <= MIB for chunk in chunks)


def test_a_read_back_gives_the_same_digests(store, key):
    blob = stored(store, key, secrets.token_bytes(SIZE))
    hashed = verify_whole(store, key, SIZE)
    assert (hashed.digest, hashed.block_digests) == (blob.digest, blob.block_digests)
    with pytest.raises(MissingObjectError):
        verify_whole(store, "not/there", SIZE)


def test_a_flipped_byte_is_never_handed_out(place, key):
    data = secrets.token_bytes(SIZE)
    store = place.open()
    blob = stored(store, key, data)
    at = BLOCK_BYTES + 77
    place.damage(key, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    handed = []
    with pytest.raises(RegistryError) as caught:
        handed.extend(VerifiedReads(store).read(blob, 0, SIZE, artifact="models/m/artifacts/a"))
    assert caught.value.reason is Reason.ARTIFACT_CORRUPT
    assert caught.value.facts["artifact"] == "models/m/artifacts/a"
    assert key not in str(caught.value)
    assert b"".join(handed) == data[:BLOCK_BYTES]


def test_a_short_or_missing_object_is_corrupt(place, key):
    data = secrets.token_bytes(BLOCK_BYTES + 10)
    store = place.open()
    blob = stored(store, key, data)
    place.damage(key, data[:-1])
    with pytest.raises(RegistryError, match="block 1 has 9 bytes"):
        list(VerifiedReads(store).read(blob, BLOCK_BYTES, 10))
    store.delete(key)
    with pytest.raises(RegistryError, match="missing") as caught:
        list(VerifiedReads(store).read(blob, 0, 10))
    assert caught.value.reason is Reason.ARTIFACT_CORRUPT


def test_block_digests_that_do_not_fit_the_size_are_corrupt(store, key):
    blob = stored(store, key, b"abc")
    torn = dataclasses.replace(blob, block_digests=blob.block_digests[:-1])
    with pytest.raises(RegistryError) as caught:
        list(VerifiedReads(store).read(torn, 0, 3))
    assert caught.value.reason is Reason.ARTIFACT_CORRUPT


@pytest.mark.parametrize("place", ["local", "s3"], indirect=True)
def test_reading_keeps_two_blocks_in_memory_at_most(place, key):
    store = place.open()
    blob = stored(store, key, b"\x01" * (4 * BLOCK_BYTES))
    tracemalloc.start()
    try:
        for _ in VerifiedReads(store).read(blob, 0, 4 * BLOCK_BYTES):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * BLOCK_BYTES + 4 * MIB


def test_a_part_after_one_that_ended_inside_a_block_is_refused():
    hasher = PartHasher()
    hasher.update([b"short"])
    with pytest.raises(ValueError, match="inside a block"):
        hasher.update([b"more"])


def test_nothing_has_the_digest_of_nothing():
    hashed = PartHasher().result()
    assert hashed.digest.sha256 == hashlib.sha256().hexdigest()
    assert hashed.block_digests == b""
