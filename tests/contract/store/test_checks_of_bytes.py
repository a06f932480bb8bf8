"""What the scrubber and the sweeper ask of the store, on both engines."""

from dataclasses import replace
from datetime import timedelta

import pytest

from registry_grpc.domain.artifacts import BlobState, UploadState
from tests.contract.store.builders import (
    SECOND,
    TIME,
    add_model,
    add_version,
    artifact,
    blob,
    change,
    upload,
)

DAY = timedelta(days=1)


@pytest.fixture
def draft(store):
    return add_version(store, add_model(store))


def keep(store, *blobs):
    store.write(lambda unit: [unit.blobs.insert(one) for one in blobs])


def test_the_blob_that_was_checked_longest_ago_is_due_and_only_what_may_be_read(store):
    old = blob("a", create_time=TIME - DAY)
    damaged = blob("b", create_time=TIME - 2 * DAY, state=BlobState.DAMAGED, damage="block 0", damage_time=TIME)
    dying = blob("c", create_time=TIME - 9 * DAY, state=BlobState.DELETING)
    keep(store, old, damaged, dying)

    def due(before):
        return store.read(lambda reader: reader.blobs.due(before))

    assert due(TIME - 3 * DAY) is None
    assert due(TIME) == damaged
    store.write(lambda unit: unit.blobs.checked(replace(damaged, check_time=TIME)))
    assert due(TIME) == old
    store.write(lambda unit: unit.blobs.checked(replace(old, check_time=TIME + SECOND)))
    assert due(TIME) is None
    assert due(TIME + 2 * SECOND) == replace(damaged, check_time=TIME)


def test_a_damaged_blob_is_held_by_nobody_and_healing_hands_its_files_over(store, draft):
    bad = blob("a")
    keep(store, bad)
    files = [artifact(draft, path, bad) for path in ("one", "two")]
    change(store, lambda unit, _: [unit.artifacts.put(file) for file in files])
    store.write(lambda unit: unit.blobs.checked(replace(bad, state=BlobState.DAMAGED, damage="cut", damage_time=TIME)))

    assert store.read(lambda reader: reader.blobs.find_live(bad.project, [bad.digest])) == []
    assert store.write(lambda unit: unit.blobs.claim(bad.project, bad.digest)).get() is None
    good = blob("a")
    keep(store, good)
    healed = change(store, lambda unit, _: unit.blobs.heal(good))

    assert healed == 1
    assert {file.path for file in store.read(lambda reader: reader.artifacts.of_blob(good.uid, 9))} == {"one", "two"}
    assert store.read(lambda reader: reader.blobs.get(bad.uid)).state is BlobState.DELETING
    assert len(store.read(lambda reader: reader.artifacts.of_blob(good.uid, 1))) == 1


def test_ended_uploads_are_listed_once_their_time_is_over_until_they_are_cleared(store, draft):
    later = store.now() + timedelta(hours=1)
    states = (UploadState.FAILED, UploadState.CANCELLED, UploadState.EXPIRED)
    ended = [upload(draft, expire_time=later, state=state) for state in states]
    others = [upload(draft, expire_time=later, state=state) for state in (UploadState.ACTIVE, UploadState.COMMITTED)]
    store.write(lambda unit: [unit.uploads.insert(one) for one in (*ended, *others)])

    def listed():
        return {one.name for one in store.read(lambda reader: reader.uploads.ended(9))}

    assert listed() == set()
    store.clock_offset = timedelta(hours=2)
    assert listed() == {one.name for one in ended}
    store.write(lambda unit: unit.uploads.update(replace(ended[0], dropped=True)))
    assert listed() == {one.name for one in ended[1:]}


def test_open_uploads_are_counted_by_who_started_them_up_to_a_limit(store, draft):
    ada = [upload(draft, creator="user:ada") for _ in range(3)]
    ada[2] = replace(ada[2], state=UploadState.FINALIZING)
    bob = [upload(draft, creator="user:bob"), upload(draft, creator="user:bob", state=UploadState.COMMITTED)]
    store.write(lambda unit: [unit.uploads.insert(one) for one in (*ada, *bob)])

    def counted(by, limit=9):
        return store.read(lambda reader: reader.uploads.open_by(by, limit))

    assert [counted("user:ada"), counted("user:ada", 2), counted("user:bob"), counted("user:eve")] == [3, 2, 1, 0]
