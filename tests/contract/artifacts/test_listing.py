"""Lists of what is in a store: whole, in order, a page at a time, and each with its age by the store's clock."""

import os
import secrets
import time
from datetime import timedelta

import pytest

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.ports.artifacts import MissingObjectError
from tests.contract.artifacts.conftest import Place, send

NOTE = {"upload": "u1"}


def made_key() -> str:
    text = secrets.token_hex(16)
    return f"{text[:2]}/{text}"


def walk(page, limit):
    """Every page of a list, as lists."""
    pages, after = [], ""
    while True:
        listing = page(after, limit)
        pages.append(list(listing.found))
        if not listing.after:
            return pages
        after = listing.after


def test_an_empty_store_has_nothing_to_list(store):
    assert walk(store.list_objects, 10) == [[]]
    assert walk(store.list_unfinished, 10) == [[]]


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_every_object_is_listed_once_in_order_with_its_size(store, limit):
    sizes = {made_key(): number for number in range(7)} | {"registrygrpc/marker": 5}
    for key, size in sizes.items():
        store.put(key, [b"x" * size], size, NOTE)

    pages = walk(store.list_objects, limit)

    found = [each for page in pages for each in page]
    assert [each.key for each in found] == sorted(sizes)
    assert {each.key: each.size_bytes for each in found} == sizes
    assert all(len(page) <= limit for page in pages)
    assert {each.store_upload for each in found} == {""}


def test_more_objects_than_one_reply_holds_are_all_listed(store):
    keys = {made_key() for _ in range(230)}
    for key in keys:
        store.put(key, [b""], 0, NOTE)
    found = [each.key for page in walk(store.list_objects, 1000) for each in page]
    assert found == sorted(keys)


def test_the_age_is_since_the_object_was_written(store):
    store.put(made_key(), [b"x"], 1, NOTE)
    (young,) = store.list_objects("", 10).found
    assert timedelta(0) <= young.age < timedelta(minutes=2)


def test_an_object_grows_older_in_the_real_stores(store, place: Place):
    if place.kind == "memory":
        return
    store.put(made_key(), [b"x"], 1, NOTE)
    began = time.monotonic()
    while store.list_objects("", 10).found[0].age < timedelta(seconds=1):
        assert time.monotonic() - began < 30
        time.sleep(0.1)


def test_what_is_deleted_or_not_complete_is_not_an_object(store):
    kept, gone, begun = made_key(), made_key(), made_key()
    for key in (kept, gone):
        store.put(key, [b"x"], 1, NOTE)
    store.delete(gone)
    upload = store.begin(begun, NOTE)
    send(store, begun, upload, b"data")
    assert [each.key for each in store.list_objects("", 10).found] == [kept]


def test_names_that_the_registry_never_makes_are_left_out_and_do_not_end_the_list(place, tmp_path, request):
    store = place.open()
    keys = [made_key() for _ in range(3)]
    for key in keys:
        store.put(key, [b"x"], 1, NOTE)
    foreign = ["aa/Some File.txt", "backup/x+y.tar", "zz/UPPER"]
    if place.kind == "local":
        for name in foreign:
            path = tmp_path / "artifacts" / "objects" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x")
    elif place.kind == "s3":
        for name in foreign:
            place.damage(name, b"x")
    for limit in (1, 2, 100):
        assert [each.key for page in walk(store.list_objects, limit) for each in page] == sorted(keys)


def test_what_was_begun_can_be_found_and_dropped_where_the_store_tells(place):
    store = place.open()
    key = made_key()
    upload = store.begin(key, NOTE)
    send(store, key, upload, b"data")

    found = [each for page in walk(store.list_unfinished, 1) for each in page]

    if place.kind == "s3" and not found:
        return  # MinIO lists an upload only under its whole key
    assert [each.key for each in found] == [key]
    store.abort(found[0].key, found[0].store_upload)
    assert walk(store.list_unfinished, 10) == [[]]
    with pytest.raises(MissingObjectError):
        store.put_part(key, upload, 1, 0, [b"late"], 4)


def test_the_rest_of_an_interrupted_put_is_listed_with_its_age_and_dropped(tmp_path):
    from registry_grpc.storage.artifacts.local import LocalArtifactStore

    store = LocalArtifactStore(tmp_path)
    left = tmp_path / "uploads" / ("ab" * 16 + ".put")
    left.write_bytes(b"torn")
    os.utime(left, (time.time() - 3600, time.time() - 3600))

    (found,) = store.list_unfinished("", 10).found

    assert found.age > timedelta(minutes=59)
    store.abort(found.key, found.store_upload)
    assert not left.exists()


def test_a_note_without_its_file_is_found_too(tmp_path):
    from registry_grpc.storage.artifacts.local import LocalArtifactStore

    store = LocalArtifactStore(tmp_path)
    upload = store.begin("ab/cd", NOTE)
    (tmp_path / "uploads" / upload).unlink()
    (found,) = store.list_unfinished("", 10).found
    assert found.key == "ab/cd"
    store.abort(found.key, found.store_upload)
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_store_that_is_down_says_so(tmp_path):
    from tests.contract.artifacts.test_s3_faults import unreachable

    store = unreachable(1)
    for ask in (store.list_objects, store.list_unfinished):
        with pytest.raises(RegistryError) as caught:
            ask("", 10)
        assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
