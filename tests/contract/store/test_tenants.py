import pytest

from registry_grpc.domain.artifacts import BlobState, UploadState
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ModelName, ProjectName
from registry_grpc.domain.pointers import PointerKind
from registry_grpc.domain.tenancy import Quotas, Retention, Usage
from registry_grpc.storage.sql import SqlStore, schema
from tests.contract.store.builders import (
    SECOND,
    TIME,
    add_model,
    add_version,
    alias,
    artifact,
    at_once,
    blob,
    change,
    move,
    project,
    put,
    upload,
)
from tests.contract.store.test_upgrades import as_of


def reason_of(call):
    with pytest.raises(RegistryError) as caught:
        call()
    return caught.value.reason


def add_project(store, name="p", **values):
    made = project(name, **values)
    change(store, lambda unit, _: unit.projects.insert(made))
    return made


def state_of(store, held):
    return store.read(lambda reader: reader.blobs.get(held.uid)).state


def test_a_project_comes_back_with_its_limits_and_times(store):
    made = add_project(
        store,
        quotas=Quotas(max_stored_bytes=1 << 60, max_models=3),
        retention=Retention(draft=90 * SECOND),
        delete_time=TIME,
        purge_time=TIME + SECOND,
    )
    assert store.read(lambda reader: reader.projects.find("p")) == made
    assert reason_of(lambda: store.read(lambda reader: reader.projects.get("p"))) is Reason.PROJECT_NOT_FOUND
    assert reason_of(lambda: store.read(lambda reader: reader.projects.require("p"))) is Reason.PROJECT_NOT_FOUND
    assert store.read(lambda reader: reader.projects.retention("p")) == made.retention
    assert store.read(lambda reader: [one.name.project for one in reader.projects.list(after="", limit=9)]) == [
        "default"
    ]
    assert store.read(lambda reader: reader.projects.list(after="default", limit=9, show_deleted=True)) == [made]
    assert store.read(lambda reader: reader.projects.purgeable(9)) == [made]


def test_buried_models_answer_as_an_absent_project_until_they_are_dug_out(store):
    made = add_project(store)
    of = add_model(store, project_id="p")
    one = add_version(store, of)
    put(store, alias(of, "champion", one))

    def bury(buried):
        def work(unit, revision):
            row = unit.projects.lock("p")
            unit.projects.bury("p", buried=buried)
            unit.projects.update(type(row)(**{**fields(row), "delete_time": TIME if buried else None}))

        change(store, work)

    bury(buried=True)
    for call in (
        lambda: store.read(lambda reader: reader.models.get(of.name)),
        lambda: store.write(lambda unit: unit.models.lock(of.name)),
        lambda: store.write(lambda unit: unit.models.number_version(of.name)),
        lambda: store.read(lambda reader: reader.versions.get(one.name)),
        lambda: store.read(lambda reader: reader.models.get(ModelName("p", "absent"))),
        lambda: store.read(lambda reader: reader.usage.get("p")),
    ):
        assert reason_of(call) is Reason.PROJECT_NOT_FOUND
    assert store.read(lambda reader: reader.models.list("p", after="", limit=9)) == []
    assert store.read(lambda reader: reader.versions.find([one.name])) == []
    assert store.read(lambda reader: reader.pointers.snapshot(after=("", "", ""), limit=9)) == []
    assert store.read(lambda reader: reader.models.all_of("p", after="", limit=9)) == [of]
    assert store.read(lambda reader: reader.versions.by_uid(one.uid)).name == one.name
    assert store.write(lambda unit: unit.models.lock_uid(of.uid)).get() == of

    bury(buried=False)
    assert store.read(lambda reader: reader.models.get(of.name)) == of
    assert store.read(lambda reader: reader.projects.get("p")).uid == made.uid
    pointers = store.read(lambda reader: reader.pointers.of_project("p", PointerKind.ALIAS, limit=9))
    assert [pointer.id for pointer in pointers] == ["champion"]


def fields(row):
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def test_usage_adds_up_under_many_writers_and_says_the_limits(store):
    add_project(store, quotas=Quotas(max_models=7), retention=Retention(draft=SECOND))

    def use(number):
        return store.write(lambda unit: unit.usage.change("p", Usage(stored_bytes=3, models=-1, open_uploads=2))).get()

    found = at_once(16, use)
    assert sorted(account.usage.stored_bytes for account in found) == [3 * n for n in range(1, 17)]
    now = store.read(lambda reader: reader.usage.get("p"))
    assert now.usage == Usage(stored_bytes=48, models=-16, open_uploads=32)
    assert (now.quotas, now.retention) == (Quotas(max_models=7), Retention(draft=SECOND))
    assert (
        reason_of(lambda: store.write(lambda unit: unit.usage.change("absent", Usage(1)))) is Reason.PROJECT_NOT_FOUND
    )


def test_usage_is_counted_anew_from_what_there_is(store):
    add_project(store)
    of, other = add_model(store, project_id="p"), add_model(store, "n", project_id="p", delete_time=TIME)
    one = add_version(store, of)
    add_version(store, of, delete_time=TIME)
    add_version(store, other)

    def work(unit, _):
        for state in BlobState:
            unit.blobs.insert(blob("abcdef"[list(BlobState).index(state)], project="p", state=state))
        for state in UploadState:
            made = upload(one, state=state)
            unit.uploads.insert(type(made)(**{**fields(made), "name": type(made.name)("p", made.name.upload)}))

    change(store, work)
    counted = store.read(lambda reader: reader.usage.count("p"))
    assert counted == Usage(stored_bytes=6, reserved_bytes=20, models=1, versions=1, open_uploads=2)
    assert store.read(lambda reader: reader.usage.drifted(9)) == ["p"]
    store.write(lambda unit: unit.usage.put("p", counted))
    assert store.read(lambda reader: reader.usage.drifted(9)) == []


def test_what_no_file_lies_in_is_condemned_and_what_was_damaged_goes_at_once(store):
    of = add_model(store)
    one = add_version(store, of)
    free, used, bad = blob("a"), blob("b"), blob("c", state=BlobState.DAMAGED)

    def work(unit, _):
        for held in (free, used, bad):
            unit.blobs.insert(held)
        unit.artifacts.put(artifact(one, "w", used))
        uids = {held.uid for held in (free, used, bad)}
        assert {held.uid for held in unit.blobs.lock_all(uids)} == uids
        return unit.blobs.condemn(uids)

    assert change(store, work) == 6
    assert [state_of(store, held) for held in (free, used, bad)] == ["condemned", "live", "deleting"]
    assert store.write(lambda unit: unit.blobs.hold("default", free.digest)).get().state is BlobState.CONDEMNED
    held = store.write(lambda unit: unit.blobs.hold_all("default", [free.digest, used.digest, bad.digest])).get()
    assert {one.uid for one in held} == {free.uid, used.uid}
    store.write(lambda unit: unit.blobs.revive([one for one in held if one.uid == free.uid]))
    assert state_of(store, free) is BlobState.LIVE
    store.write(lambda unit: unit.blobs.release("default"))
    assert state_of(store, free) is BlobState.DELETING


def test_two_projects_may_name_one_object(store):
    add_project(store)
    mine, copied = blob("a"), blob("a", project="p")
    copied = type(copied)(**{**fields(copied), "key": mine.key})
    change(store, lambda unit, _: unit.blobs.insert_all([mine, copied]))
    assert store.read(lambda reader: reader.blobs.get(copied.uid)) == copied
    assert store.write(lambda unit: unit.blobs.hold("p", Digest("a" * 64, 3))).get() == copied


def test_a_version_that_is_removed_leaves_its_history_and_uploads_to_clear_away(store):
    of = add_model(store)
    one = move(store, add_version(store, of), "development")
    states = (UploadState.ACTIVE, UploadState.COMMITTED, UploadState.FAILED)
    made = [upload(one, state=state, expire_time=TIME + SECOND * 10**9) for state in states]

    def work(unit, _):
        for each in made:
            unit.uploads.insert(each)
        assert unit.uploads.forget_of(one.uid) == (1, 10)
        unit.artifacts.delete_of(one.uid)
        unit.versions.delete(one.uid)

    change(store, work)
    assert store.read(lambda reader: reader.versions.by_uid(one.uid)) is None
    assert [
        row.version for row in store.read(lambda reader: reader.history.list(of.uid, "", before=None, limit=9))
    ] == [one.name]
    left = store.read(lambda reader: reader.uploads.ended(9))
    assert {each.name for each in left} == {made[0].name, made[2].name}

    def drop(unit):
        for each in left:
            row = unit.uploads.lock(each.name)
            unit.uploads.update(type(row)(**{**fields(row), "dropped": True}))
            unit.uploads.forget_orphan(each.name)

    store.write(drop)
    assert all(store.read(lambda reader, name=each.name: reader.uploads.get(name)) is None for each in made)
    change(store, lambda unit, _: unit.models.delete(of.uid))
    assert store.read(lambda reader: reader.models.all_of("default", after="", limit=9)) == []


def test_drafts_of_deleted_models_do_not_stand_in_the_way_of_others(store):
    of, gone = add_model(store), add_model(store, "gone", delete_time=TIME)
    due = add_version(store, of, expire_time=TIME)
    add_version(store, gone, expire_time=TIME)
    assert [draft.name for draft in store.read(lambda reader: reader.versions.expired_drafts(9))] == [due.name]


def test_an_id_that_a_deleted_project_holds_is_taken(store):
    add_project(store, delete_time=TIME)
    with pytest.raises(RegistryError) as caught:
        add_project(store)
    assert (caught.value.reason, caught.value.facts["softDeleted"]) == (Reason.RESOURCE_EXISTS, "true")
    change(store, lambda unit, _: unit.projects.delete("p"))
    assert add_project(store).name == ProjectName("p")


def test_an_upgrade_counts_what_there_was(url):
    with as_of(url, "0003") as execute:
        execute("INSERT INTO project VALUES ('default', 'u', '', '', '[1,[]]', '[1,{}]', '[1,{}]', 1, 1, 1)")
        execute(
            "INSERT INTO model VALUES ('m', 'default', 'm', '', '', '', '[1,{}]', '[1,{}]', '', 1, 1, 1, NULL, NULL, 1)"
        )
        execute(
            "INSERT INTO blob (uid, project, sha256, size_bytes, key, block_digests, state, create_time) VALUES "
            "('b', 'default', 'a', 7, 'k', '', 'live', 1), ('c', 'default', 'a', 9, 'l', '', 'deleting', 1)"
        )
    schema.upgrade(url)
    store = SqlStore(url)
    assert store.read(lambda reader: reader.usage.get("default")).usage == Usage(stored_bytes=7, models=1)
    assert store.read(lambda reader: reader.usage.drifted(9)) == []
    assert store.read(lambda reader: reader.projects.get("default")).quotas == Quotas()
    store.close()
