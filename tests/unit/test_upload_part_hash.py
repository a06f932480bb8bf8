"""Parts are hashed in their order whichever comes first, and nobody waits for one that will not come."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from crc32c import crc32c

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.storage.artifacts.hashing import PartHasher
from registry_grpc.usecases.part_hash import BrokenHashError, PartHash, verified


class Order:
    """A running digest that keeps what it was given."""

    def __init__(self):
        self.whole = hashlib.sha256()
        self.taken = []

    def update(self, chunks):
        joined = b"".join(chunks)
        self.taken.append(joined)
        self.whole.update(joined)
        return hashlib.sha256(joined).digest()

    def hexdigest(self):
        return self.whole.hexdigest()


def test_parts_that_come_in_any_order_are_hashed_by_number():
    parts = [bytes([at]) * 10 for at in range(8)]
    order = Order()
    hashing = PartHash(order, first=1)

    with ThreadPoolExecutor(8) as threads:
        later = [threads.submit(hashing.take, number, [parts[number - 1]]) for number in (3, 2, 5, 4, 8, 7, 6)]
        assert not any(future.done() for future in later)
        hashing.take(1, [parts[0]])
        blocks = [future.result(10) for future in later]

    assert order.taken == parts
    assert hashing.hexdigest() == hashlib.sha256(b"".join(parts)).hexdigest()
    assert blocks[0] == hashlib.sha256(parts[2]).digest()


def test_the_parts_of_a_resumed_upload_begin_where_the_others_ended():
    order = Order()

    PartHash(order, first=4).take(4, [b"a", b"b"])

    assert order.taken == [b"ab"]


def test_a_part_that_fails_sets_free_those_behind_it_and_refuses_later_ones():
    hashing = PartHash(Order(), first=1)
    waiting = threading.Barrier(3)

    def behind(number):
        waiting.wait(10)
        hashing.take(number, [b"x"])

    with ThreadPoolExecutor(2) as threads:
        later = [threads.submit(behind, number) for number in (2, 3)]
        waiting.wait(10)
        hashing.fail()
        for future in later:
            with pytest.raises(BrokenHashError):
                future.result(10)
    with pytest.raises(BrokenHashError):
        hashing.take(1, [b"x"])


def test_a_wrong_checksum_is_told_with_the_offset_of_its_chunk():
    chunks = [b"aaaa", b"bb", b"c"]
    right = [crc32c(chunk) for chunk in chunks]

    assert list(verified(100, chunks, right, 0)) == chunks
    assert list(verified(100, chunks, [None, right[1], None], 0)) == chunks
    with pytest.raises(RegistryError) as caught:
        list(verified(100, chunks, [right[0], right[1], 0], 96))

    assert caught.value.reason is Reason.CHUNK_CHECKSUM
    assert caught.value.facts == {"offset": "106", "persistedSize": "96"}


def test_a_chunk_whose_checksum_is_zero_is_checked_too():
    with pytest.raises(RegistryError):
        list(verified(0, [b"a"], [0], 0))


@pytest.mark.parametrize("size", [0, 1, (128 << 10) - 1, 128 << 10, (128 << 10) + 1, 1 << 20])
def test_a_view_is_verified_as_the_bytes_it_is_of(size):
    content = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    checksum = crc32c(content)

    assert list(verified(0, [memoryview(content)], [checksum], 0)) == [content]
    with pytest.raises(RegistryError):
        list(verified(0, [memoryview(content)], [checksum ^ 1], 0))


def test_a_wrong_checksum_breaks_the_hash_of_what_follows():
    hashing = PartHash(PartHasher(), 1)
    with pytest.raises(RegistryError):
        hashing.take(1, verified(0, [b"aaaa", b"bb"], [None, 1], 0))
    with pytest.raises(BrokenHashError):
        hashing.take(2, [b"c"])
