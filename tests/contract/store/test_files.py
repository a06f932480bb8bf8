from dataclasses import replace
from datetime import timedelta

import pytest

from registry_grpc.domain.artifacts import BlobState, TakenPaths, UploadPart, UploadState
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.identity import Token
from tests.contract.store.builders import (
    SECOND,
    TIME,
    add_model,
    add_version,
    artifact,
    at_once,
    blob,
    change,
    upload,
)


@pytest.fixture
def draft(store):
    return add_version(store, add_model(store))


def add_blob(store, *args, **values):
    made = blob(*args, **values)
    store.write(lambda unit: unit.blobs.insert(made))
    return made


def add_files(store, draft, *paths):
    held = add_blob(store)
    files = [artifact(draft, path, held) for path in paths]
    change(store, lambda unit, _: [unit.artifacts.put(one) for one in files])
    return files


def test_a_file_comes_back_as_it_was_written_and_may_be_replaced(store, draft):
    [first] = add_files(store, draft, "a/b.bin")
    assert store.read(lambda reader: reader.artifacts.get(draft.uid, first.id)) == first
    other = replace(artifact(draft, "a/b.bin", add_blob(store, "b")), media_type="text/plain", revision=9)
    change(store, lambda unit, _: unit.artifacts.put(other))
    assert store.read(lambda reader: reader.artifacts.get(draft.uid, first.id)) == other
    assert store.read(lambda reader: reader.artifacts.get(draft.uid, "x")) is None


def test_files_are_listed_by_the_bytes_of_their_paths(store, draft):
    paths = ["Z", "a", "a/b", "a-b", "a.b", "é", "e", "B", "ﬀ", "😀", "\uffee"]
    add_files(store, draft, *paths)
    inorder = sorted(paths, key=str.encode)

    def listed(after, limit):
        found = store.read(lambda reader: reader.artifacts.list(draft.uid, after=after, limit=limit))
        return [one.path for one in found]

    assert listed("", 99) == inorder
    assert listed(inorder[3], 2) == inorder[4:6]


def test_digests_of_all_files_come_by_path(store, draft):
    files = add_files(store, draft, "a", "b/c", "é")
    held, other = add_blob(store, "b"), add_version(store, add_model(store, "other"))
    replaced = artifact(draft, "b/c", held)
    change(store, lambda unit, _: [unit.artifacts.put(one) for one in (replaced, artifact(other, "elsewhere", held))])
    found = store.read(lambda reader: reader.artifacts.digests(draft.uid))
    assert found == {"a": files[0].digest, "b/c": replaced.digest, "é": files[2].digest}


def test_files_are_counted_with_the_sum_of_their_sizes(store, draft):
    assert store.read(lambda reader: reader.artifacts.count(draft.uid)) == (0, 0)
    add_files(store, draft, "a", "b")
    assert store.read(lambda reader: reader.artifacts.count(draft.uid)) == (2, 6)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Weights/model.bin", {"weights/Model.bin"}),
        ("WEIGHTS", {"weights/Model.bin", "weights/x/y"}),
        ("weights/x/y/z", {"weights/x/y"}),
        ("STRASSE", {"straße"}),
        ("cafe\u0301/menu", {"café"}),
        ("weights-2", set()),
        ("other", set()),
    ],
)
def test_files_that_may_collide_are_found_whatever_case_or_form(store, draft, path, expected):
    add_files(store, draft, "weights/Model.bin", "weights/x/y", "weights.txt", "weights0", "straße", "café")
    found = store.read(lambda reader: reader.artifacts.colliding(draft.uid, [path]))
    assert set(found) == expected
    if expected:
        with pytest.raises(RegistryError):
            TakenPaths(found).check(path)


def test_collisions_of_many_paths_are_found_at_once(store, draft):
    add_files(store, draft, *(f"d{n}/f" for n in range(120)))
    found = store.read(lambda reader: reader.artifacts.colliding(draft.uid, [f"D{n}" for n in range(120)]))
    assert len(found) == 120
    assert store.read(lambda reader: reader.artifacts.colliding(draft.uid, [])) == []


def test_a_blob_comes_back_as_it_was_written(store):
    made = add_blob(store, block_digests=b"\x00\xff" * 16, lease_until=TIME)
    assert store.read(lambda reader: reader.blobs.get(made.uid)) == made
    assert store.read(lambda reader: reader.blobs.get("x")) is None


def test_only_live_blobs_of_the_project_with_digest_and_size_are_found(store):
    live = add_blob(store, "a")
    for state in (BlobState.CONDEMNED, BlobState.DELETING, BlobState.GONE):
        add_blob(store, state[0], state=state)
    wanted = [Digest(c * 64, 3) for c in "acdg"] + [Digest("a" * 64, 4)]
    assert store.read(lambda reader: reader.blobs.find_live("default", wanted)) == [live]
    assert store.read(lambda reader: reader.blobs.find_live("q", wanted)) == []


def test_claiming_revives_a_condemned_blob_and_no_dead_one(store):
    condemned = add_blob(store, "a", state=BlobState.CONDEMNED)
    add_blob(store, "b", state=BlobState.DELETING)
    claimed = store.write(lambda unit: unit.blobs.claim("default", Digest("a" * 64, 3))).get()
    assert claimed == replace(condemned, state=BlobState.LIVE)
    assert store.read(lambda reader: reader.blobs.get(condemned.uid)) == claimed
    assert store.write(lambda unit: unit.blobs.claim("default", Digest("b" * 64, 3))).get() is None


def test_of_many_who_bring_the_same_bytes_one_adds_the_blob(store):
    def bring(_):
        def work(unit):
            held = unit.blobs.claim("default", Digest("a" * 64, 3))
            if held is None:
                held = blob("a")
                unit.blobs.insert(held)
            return held

        return store.write(work).get()

    assert len({one.uid for one in at_once(16, bring)}) == 1


def test_leases_of_blobs_only_grow(store):
    fresh, leased = add_blob(store, "a"), add_blob(store, "b", lease_until=TIME + 5 * SECOND)
    uids = {fresh.uid, leased.uid}
    store.write(lambda unit: unit.blobs.extend_lease(uids, TIME + 2 * SECOND))
    found = store.read(lambda reader: [reader.blobs.get(one.uid).lease_until for one in (fresh, leased)])
    assert found == [TIME + 2 * SECOND, TIME + 5 * SECOND]


def test_an_upload_comes_back_as_it_was_written(store, draft):
    made = upload(draft, sha256="a" * 64, artifact_etag="e", failure="f", deduplicated=True)
    store.write(lambda unit: unit.uploads.insert(made))
    assert store.read(lambda reader: reader.uploads.get(made.name)) == made
    assert store.read(lambda reader: reader.uploads.get(replace(made.name, project="q"))) is None
    [file] = add_files(store, draft, made.path)
    ended = replace(made, state=UploadState.COMMITTED, epoch=2, persisted_size=10, artifact=file)

    def work(unit):
        assert unit.uploads.lock(made.name) == made
        unit.uploads.update(ended)

    assert store.write(work).revision == 0
    assert store.read(lambda reader: reader.uploads.get(made.name)) == ended
    with pytest.raises(LookupError):
        store.write(lambda unit: unit.uploads.update(upload(draft)))


def test_an_upload_persists_only_what_its_own_epoch_has(store, draft):
    made = upload(draft, epoch=3)
    store.write(lambda unit: unit.uploads.insert(made))
    further = replace(made, persisted_size=5, expire_time=made.expire_time + timedelta(hours=1), path="not looked at")

    def persist(one):
        return store.write(lambda unit: unit.uploads.persist(one)).get()

    assert persist(further)
    assert store.read(lambda reader: reader.uploads.get(made.name)) == replace(further, path=made.path)
    assert not persist(replace(further, epoch=2))
    assert not persist(replace(further, name=replace(made.name, project="q")))
    for state in UploadState:
        store.write(lambda unit, state=state: unit.uploads.update(replace(made, state=state)))
        assert persist(further) == (state in {UploadState.ACTIVE, UploadState.FINALIZING})


def test_uploads_are_listed_by_time_and_filtered_by_state(store, draft):
    made = [upload(draft, create_time=TIME + n // 2 * SECOND) for n in range(4)]
    made[3] = replace(made[3], state=UploadState.FAILED)
    store.write(lambda unit: [unit.uploads.insert(one) for one in made])
    made.sort(key=lambda one: (one.create_time, one.name.upload))

    def listed(**query):
        return store.read(lambda reader: list(reader.uploads.list(draft.uid, **query)))

    assert listed() == made
    assert listed(after=(made[1].create_time, made[1].name.upload), limit=1) == made[2:3]
    assert listed(states=[UploadState.ACTIVE]) == [one for one in made if one.state is UploadState.ACTIVE]


def test_parts_are_kept_by_number_replaced_and_forgotten(store, draft):
    made, other = upload(draft), upload(draft)
    parts = [UploadPart(number=n, size_bytes=n, etag=f"e{n}", block_digests=b"x" * 32) for n in (2, 1)]

    def work(unit):
        unit.uploads.insert(made)
        unit.uploads.insert(other)
        for part in parts:
            unit.uploads.put_part(made.name, part)
        unit.uploads.put_part(other.name, parts[0])

    store.write(work)
    assert store.read(lambda reader: reader.uploads.parts(made.name)) == parts[::-1]
    again = replace(parts[0], etag="again")
    store.write(lambda unit: unit.uploads.put_part(made.name, again))
    assert store.read(lambda reader: reader.uploads.parts(made.name)) == [parts[1], again]
    store.write(lambda unit: unit.uploads.delete_parts(made.name))
    assert store.read(lambda reader: reader.uploads.parts(made.name)) == []
    assert len(store.read(lambda reader: reader.uploads.parts(other.name))) == 1


def test_active_uploads_expire_by_the_stores_clock(store, draft):
    later = store.now() + timedelta(hours=1)
    made = upload(draft, expire_time=later)
    done = upload(draft, expire_time=later, state=UploadState.COMMITTED)
    store.write(lambda unit: [unit.uploads.insert(one) for one in (made, done)])
    assert store.read(lambda reader: reader.uploads.expired(9)) == []
    store.clock_offset = timedelta(hours=2)
    assert store.read(lambda reader: reader.uploads.expired(9)) == [made]


def test_tokens_come_back_by_id_and_in_order_of_creation(store):
    tokens = [
        Token(id="b", secret_hash=b"\x00", principal="user:ada", create_time=TIME, expire_time=TIME, revoke_time=TIME),
        Token(id="a", secret_hash=b"\xff", principal="user:bob", create_time=TIME + SECOND),
    ]
    store.write(lambda unit: [unit.tokens.insert(one) for one in reversed(tokens)])
    assert store.read(lambda reader: reader.tokens.list()) == tokens
    assert store.read(lambda reader: reader.tokens.get("a")) == tokens[1]
    assert store.read(lambda reader: reader.tokens.get("c")) is None
