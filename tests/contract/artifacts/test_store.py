"""What the port promises, asked of every implementation."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from registry_grpc.domain.artifacts import MIB, UploadPart
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.ports.artifacts import MissingObjectError
from tests.contract.artifacts.conftest import send, whole

PART = 5 * MIB
"""The least S3 allows for a part that is not the last."""
NOTE = {"upload-id": "u1", "sha256": "00"}


def test_an_object_appears_whole_and_only_by_complete(store, key):
    first, second = secrets.token_bytes(PART), secrets.token_bytes(1000)
    upload = store.begin(key, NOTE)
    parts = send(store, key, upload, first, second)
    assert store.head(key) is None
    with pytest.raises(MissingObjectError):
        list(store.read(key, 0, 10))
    store.complete(key, upload, parts)
    assert whole(store, key) == first + second
    assert store.head(key).metadata == NOTE


@pytest.mark.parametrize("tail", [1, MIB - 1, MIB, MIB + 1, PART])
def test_the_last_part_may_have_any_size(store, key, tail):
    data = secrets.token_bytes(PART + tail)
    upload = store.begin(key, NOTE)
    store.complete(key, upload, send(store, key, upload, data[:PART], data[PART:]))
    assert whole(store, key) == data


def test_a_part_sent_again_replaces_the_earlier_one(store, key):
    upload = store.begin(key, NOTE)
    send(store, key, upload, b"x" * PART, b"long and wrong tail")
    store.complete(key, upload, send(store, key, upload, b"y" * PART, b"tail"))
    assert whole(store, key) == b"y" * PART + b"tail"


def test_parts_may_come_at_the_same_time_in_any_order(store, key):
    datas = [secrets.token_bytes(PART), secrets.token_bytes(PART), b"end"]
    upload = store.begin(key, NOTE)

    def put(number: int) -> UploadPart:
        data = datas[number - 1]
        etag = store.put_part(key, upload, number, (number - 1) * PART, [data], len(data))
        return UploadPart(number=number, size_bytes=len(data), etag=etag, block_digests=b"")

    with ThreadPoolExecutor(3) as threads:
        parts = list(threads.map(put, [3, 2, 1]))[::-1]
    store.complete(key, upload, parts)
    assert whole(store, key) == b"".join(datas)


def test_a_multipart_write_survives_a_restart(place, key):
    before = place.open()
    upload = before.begin(key, NOTE)
    parts = send(before, key, upload, b"a" * PART)
    after = place.open()
    etag = after.put_part(key, upload, 2, PART, [b"b"], 1)
    tail = UploadPart(number=2, size_bytes=1, etag=etag, block_digests=b"")
    after.complete(key, upload, [*parts, tail])
    assert whole(place.open(), key) == b"a" * PART + b"b"


def test_completing_twice_is_a_success(place, key):
    store = place.open()
    upload = store.begin(key, NOTE)
    parts = send(store, key, upload, b"data")
    store.complete(key, upload, parts)
    store.complete(key, upload, parts)
    place.open().complete(key, upload, parts)
    assert whole(store, key) == b"data"


def test_completing_at_the_same_time_makes_one_object(store, key):
    upload = store.begin(key, NOTE)
    parts = send(store, key, upload, b"data" * 1000)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: store.complete(key, upload, parts), range(8)))
    assert whole(store, key) == b"data" * 1000


def test_completing_what_was_aborted_finds_nothing(store, key):
    upload = store.begin(key, NOTE)
    parts = send(store, key, upload, b"data")
    store.abort(key, upload)
    store.abort(key, upload)
    with pytest.raises(MissingObjectError):
        store.complete(key, upload, parts)
    with pytest.raises(MissingObjectError):
        store.put_part(key, upload, 1, 0, [b"data"], 4)
    assert store.head(key) is None


def test_sweeping_a_key_drops_what_was_begun_for_it_and_nothing_else(store, key):
    other = f"{key}/other"
    lost, kept = store.begin(key, NOTE), store.begin(other, NOTE)
    again = store.begin(key, NOTE)
    send(store, key, again, b"a" * 1000)
    parts = send(store, other, kept, b"b" * 1000)

    store.sweep(key)

    for upload in (lost, again):
        with pytest.raises(MissingObjectError):
            store.put_part(key, upload, 1, 0, [b"late"], 4)
    store.complete(other, kept, parts)
    assert whole(store, other) == b"b" * 1000
    # Sweeping what has nothing is a success, and a finished object stays.
    store.sweep(key)
    store.sweep(other)
    assert whole(store, other) == b"b" * 1000


def test_completing_never_overwrites(store, key):
    store.put(key, [b"first"], 5, NOTE)
    upload = store.begin(key, NOTE)
    parts = send(store, key, upload, b"second, longer")
    with pytest.raises(RegistryError) as caught:
        store.complete(key, upload, parts)
    assert caught.value.reason is Reason.INTERNAL
    assert whole(store, key) == b"first"


def test_completing_with_parts_missing_makes_no_object(store, key):
    upload = store.begin(key, NOTE)
    parts = send(store, key, upload, b"a" * PART, b"b")
    with pytest.raises(RegistryError):
        store.complete(key, upload, parts[1:])
    with pytest.raises(RegistryError):
        store.complete(key, upload, [])
    assert store.head(key) is None


def test_a_part_of_another_size_than_stated_is_refused(store, key):
    upload = store.begin(key, NOTE)
    with pytest.raises(RegistryError) as caught:
        store.put_part(key, upload, 1, 0, [b"abc"], 4)
    assert caught.value.reason is Reason.INTERNAL


@pytest.mark.parametrize("size_bytes", [0, 1, MIB - 1, MIB, MIB + 1])
def test_a_small_object_is_put_at_once(store, key, size_bytes):
    data = secrets.token_bytes(size_bytes)
    chunks = [data[: size_bytes // 3], data[size_bytes // 3 :]]
    store.put(key, chunks, size_bytes, NOTE)
    store.put(key, chunks, size_bytes, NOTE)
    assert store.head(key).size_bytes == size_bytes
    assert store.head(key).metadata == NOTE
    assert whole(store, key) == data


def test_putting_another_size_under_a_used_key_is_refused(store, key):
    store.put(key, [b"first"], 5, NOTE)
    with pytest.raises(RegistryError) as caught:
        store.put(key, [b"another"], 7, NOTE)
    assert caught.value.reason is Reason.INTERNAL
    assert whole(store, key) == b"first"


def test_of_sixteen_racing_puts_one_wins_and_nothing_is_mixed(store, key):
    datas = [bytes([number]) * (300_000 + number % 2) for number in range(16)]

    def put(data: bytes) -> str:
        try:
            store.put(key, [data[:7], data[7:]], len(data), NOTE)
        except RegistryError as error:
            return error.reason
        return "ok"

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(put, datas))
    winner = whole(store, key)
    assert winner in datas
    assert answers == ["ok" if len(d) == len(winner) else Reason.INTERNAL for d in datas]


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 1), (0, MIB), (1, MIB), (MIB - 1, 2), (MIB + 5, 10 * MIB), (3 * MIB, 5), (9 * MIB, 1)],
)
def test_a_range_has_the_bytes_that_exist(store, key, offset, length):
    data = secrets.token_bytes(3 * MIB)
    store.put(key, [data], len(data), NOTE)
    chunks = list(store.read(key, offset, length))
    assert b"".join(chunks) == data[offset : offset + length]
    assert all(0 < len(chunk) <= MIB for chunk in chunks)


def test_a_read_may_be_left_early(store, key):
    store.put(key, [b"x" * 3 * MIB], 3 * MIB, NOTE)
    for _ in range(20):
        chunks = store.read(key, 0, 3 * MIB)
        assert next(chunks)
        chunks.close()
    assert len(whole(store, key)) == 3 * MIB


@pytest.mark.parametrize("length", [0, 5])
def test_reading_what_is_not_there_says_so_at_the_first_item(store, key, length):
    chunks = store.read(key, 0, length)
    with pytest.raises(MissingObjectError):
        next(chunks, None)


def test_deleting_twice_is_a_success(store, key):
    store.put(key, [b"data"], 4, NOTE)
    store.delete(key)
    store.delete(key)
    assert store.head(key) is None


def test_a_missing_object_has_no_head(store, key):
    assert store.head(key) is None


@pytest.mark.parametrize("bad", ["", "../x", "a//b", "/a", "a/", "A", "a.b", "a" * 129, "é", "a\n"])
def test_a_key_outside_the_grammar_is_refused_everywhere(store, bad):
    for call in (
        lambda: store.begin(bad, NOTE),
        lambda: store.put(bad, [b""], 0, NOTE),
        lambda: store.head(bad),
        lambda: list(store.read(bad, 0, 1)),
        lambda: store.delete(bad),
        lambda: store.sign_get(bad, timedelta(minutes=1), "f"),
    ):
        with pytest.raises(RegistryError) as caught:
            call()
        assert caught.value.reason is Reason.INTERNAL


def test_metadata_that_a_server_would_change_is_refused(store, key):
    for bad in ({"Upper": "x"}, {"a": " padded "}, {"a": "é"}, {"a": ""}, {"a": "x\r\ny: z"}):
        with pytest.raises(RegistryError):
            store.put(key, [b""], 0, bad)


def test_a_store_in_order_answers_ping(store):
    store.ping()
