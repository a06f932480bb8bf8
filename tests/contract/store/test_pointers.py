from dataclasses import replace
from datetime import timedelta

import pytest

from registry_grpc.domain.pointers import PointerKind, StageAction
from registry_grpc.domain.resources import VersionState
from tests.contract.store.builders import (
    SECOND,
    TIME,
    add_model,
    add_version,
    alias,
    assignment,
    call,
    change,
    move,
    pointer,
    put,
    target,
)

STAGE, ALIAS, LATEST = PointerKind.STAGE, PointerKind.ALIAS, PointerKind.LATEST


def get(store, of, kind, pointer_id):
    return store.read(lambda reader: reader.pointers.get(of.uid, kind, pointer_id))


def test_a_pointer_comes_back_with_its_target_as_it_is_now(store):
    made = add_model(store)
    ready = add_version(
        store, made, state=VersionState.READY, manifest_digest="sha256:x", file_count=2, total_size_bytes=5
    )
    written = pointer(
        made,
        STAGE,
        "staging",
        ready,
        previous_number=7,
        generation=3,
        set_time=TIME,
        actor="user:ada",
        justification="x",
    )
    assert get(store, made, STAGE, "staging") is None
    put(store, written)
    found = get(store, made, STAGE, "staging")
    assert found == replace(written, revision=found.revision)
    moved = move(store, ready, "archived")
    change(store, lambda unit, _: unit.versions.update(replace(moved, state=VersionState.YANKED)))
    now = get(store, made, STAGE, "staging")
    assert now.target == replace(target(moved), yanked=True)


def test_a_pointer_without_a_version_stays(store):
    made = add_model(store)
    put(store, pointer(made, STAGE, "staging", add_version(store, made)))
    put(store, pointer(made, STAGE, "staging", generation=2))
    found = get(store, made, STAGE, "staging")
    assert (found.target, found.generation) == (None, 2)


def test_a_deleted_alias_is_gone_and_a_stage_of_that_name_is_not(store):
    made = add_model(store)
    ready = add_version(store, made)
    put(store, alias(made, "x", ready), pointer(made, STAGE, "x", ready))
    change(store, lambda unit, _: unit.pointers.delete(made.uid, ALIAS, "x"))
    assert get(store, made, ALIAS, "x") is None
    assert get(store, made, STAGE, "x") is not None


def test_pointers_are_listed_by_id(store):
    made, other = add_model(store), add_model(store, "other")
    ready = add_version(store, made)
    put(store, alias(made, "c", ready), alias(made, "a", ready), pointer(made, STAGE, "b", ready))
    put(store, alias(other, "z", add_version(store, other)), pointer(made, LATEST, "latest", ready))

    def ids(*query, **more):
        return store.read(lambda reader: [one.id for one in reader.pointers.list(made.uid, *query, **more)])

    assert ids() == ["a", "b", "c", "latest"]
    assert ids(ALIAS) == ["a", "c"]
    assert ids(after="a", limit=2) == ["b", "c"]
    assert {one.id for one in store.read(lambda reader: reader.pointers.of_version(ready.uid))} == set("abc") | {
        "latest"
    }


def test_aliases_are_found_by_name_in_the_whole_project(store):
    made, other = add_model(store), add_model(store, "other")
    mine, theirs = add_version(store, made), add_version(store, other)
    put(
        store,
        alias(made, "x", mine),
        alias(made, "y", mine),
        alias(other, "x", theirs),
        pointer(made, STAGE, "x", mine),
    )
    found = store.read(lambda reader: reader.pointers.aliases_named("default", {"x", "z"}))
    assert [(one.model.model, one.id, one.kind) for one in found] == [("m", "x", ALIAS), ("other", "x", ALIAS)]
    assert store.read(lambda reader: reader.pointers.aliases_named("q", {"x"})) == []


def test_the_snapshot_pages_through_targeted_pointers_of_live_models(store):
    made, deleted = add_model(store), add_model(store, "deleted")
    ready = add_version(store, made)
    put(store, alias(made, "a", ready), pointer(made, LATEST, "latest", ready), pointer(made, STAGE, "s", ready))
    put(store, pointer(made, STAGE, "vacant"), alias(deleted, "a", add_version(store, deleted)))
    change(store, lambda unit, _: unit.models.update(replace(deleted, delete_time=TIME)))

    seen, after = [], ("", "", "")
    while page := store.read(lambda reader, after=after: reader.pointers.snapshot(after=after, limit=2)):
        seen += page
        after = (page[-1].model_uid, str(page[-1].kind), page[-1].id)
    assert [(one.kind, one.id) for one in seen] == [(ALIAS, "a"), (LATEST, "latest"), (STAGE, "s")]


def test_history_is_listed_newest_first_in_pages(store):
    made = add_model(store)
    first, second = (add_version(store, made) for _ in range(2))

    def swap(unit, revision):
        unit.history.append(assignment(first, "archived", revision=revision, index=0, action=StageAction.DISPLACED))
        unit.history.append(assignment(second, "production", revision=revision, index=1))

    move(store, first, "production")
    change(store, swap)

    def rows(stage, before=None, limit=9):
        found = store.read(lambda reader: reader.history.list(made.uid, stage, before=before, limit=limit))
        return [(one.version.number, one.stage, one.index) for one in found]

    assert rows("") == [(2, "production", 1), (1, "archived", 0), (1, "production", 0)]
    assert rows("production") == [(2, "production", 1), (1, "production", 0)]
    newest = store.read(lambda reader: reader.history.list(made.uid, "", before=None, limit=1))[0]
    assert rows("", before=(newest.revision, newest.index)) == [(1, "archived", 0), (1, "production", 0)]
    assert newest == assignment(second, "production", revision=newest.revision, index=1)


def test_a_row_of_history_is_never_written_over(store):
    made = add_version(store, add_model(store))
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        change(store, lambda unit, at: [unit.history.append(assignment(made, s, revision=at)) for s in "ab"])


def test_validate_only_may_append_history_at_the_present_revision(store):
    made = add_version(store, add_model(store))
    move(store, made, "staging")
    change(
        store,
        lambda unit, at: unit.history.append(assignment(made, "archived", revision=at)),
        call(validate_only=True),
    )


def test_a_stage_as_of_a_time_is_what_its_pointer_was_then(store):
    made = add_model(store)
    first, second = (add_version(store, made, state=VersionState.READY) for _ in range(2))

    def at(seconds, stage="staging"):
        time = TIME + seconds * SECOND
        row, stood = store.read(lambda reader: reader.history.pointer_as_of(made.uid, stage, time))
        return (row.version.number if row else None), stood

    first = move(store, first, "staging", TIME + 10 * SECOND)
    second = move(store, second, "staging", TIME + 20 * SECOND)
    second = move(store, second, "production", TIME + 30 * SECOND)
    move(store, first, "", TIME + 40 * SECOND, action=StageAction.VACATED)
    move(store, second, "staging", TIME + 50 * SECOND)
    assert [at(9), at(10), at(19)] == [(None, False), (1, True), (1, True)]
    assert at(20) == (2, True)
    assert at(30) == (1, True)  # the newest left: an older one holds it still
    assert at(40) == (2, False)  # the last that came, though nobody holds it
    assert at(50) == (2, True)
    assert [at(30, "production"), at(50, "production")] == [(2, True), (2, False)]
    assert (
        store.read(lambda reader: reader.history.pointer_as_of(made.uid, "staging", TIME - timedelta(days=1)))[0]
        is None
    )
