import contextlib
import hashlib
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from registry_grpc.domain.calls import SYSTEM
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action, Change
from registry_grpc.storage.sql import tables
from registry_grpc.storage.sql.documents import RESOURCES
from tests.contract.store.builders import (
    ADA,
    add_model,
    add_version,
    all_events,
    at_once,
    call,
    change,
    model,
    version,
)


def rows(store, name):
    """The rows of a table, for what no port shows."""
    table = getattr(tables, name)
    return store.read(lambda reader: reader.session.all(select(table).order_by(*table.primary_key)))


def insert(unit, model_id="m"):
    made = model(model_id, revision=unit.advance(f"projects/default/models/{model_id}"))
    unit.models.insert(made)
    unit.record(Action.CREATED, made)
    return made


def test_a_new_registry_has_a_default_project_with_event_and_audit_entry(store):
    found = store.read(lambda reader: reader.projects.get("default"))
    [event] = all_events(store)
    [entry] = rows(store, "audit")
    assert uuid.UUID(store.registry_uid)
    assert (event.revision, event.action, event.after, event.actor) == (1, Action.CREATED, found, SYSTEM.name)
    assert (entry.audit_index, entry.revision, entry.resource) == (1, 1, "projects/default")


def test_a_write_returns_its_value_revision_and_events(store):
    done = store.write(insert, call())
    assert done.revision == 2
    assert done.get().name.model == "m"
    assert [(one.revision, one.index, one.action, one.after) for one in done.events] == [
        (2, 0, Action.CREATED, done.get())
    ]
    assert all_events(store)[1:] == list(done.events)


def test_a_failed_write_leaves_no_trace_and_gives_its_revision_back(store):
    def fail(unit):
        insert(unit)
        raise LookupError

    with pytest.raises(LookupError):
        store.write(fail, call("r"))
    assert store.read(lambda reader: reader.feed.head()) == 1
    assert store.read(lambda reader: reader.models.list("default", after="", limit=9)) == []
    assert len(rows(store, "audit")) == 1
    assert rows(store, "idempotency") == []
    assert store.write(insert, call("r")).revision == 2


def test_a_write_that_takes_no_revision_leaves_no_event_and_no_audit_entry(store):
    done = store.write(lambda unit: unit.now, call("r"))
    assert (done.revision, done.events) == (0, ())
    assert len(rows(store, "audit")) == 1
    [record] = rows(store, "idempotency")
    assert record.revision == 0


def test_validate_only_runs_everything_and_leaves_nothing(store):
    def work(unit):
        made = insert(unit)
        assert unit.models.lock(made.name) == made
        return made.revision

    done = store.write(work, call("r", validate_only=True))
    assert done.get() == 1  # the present one
    assert (done.revision, done.events) == (0, ())
    assert store.read(lambda reader: reader.models.list("default", after="", limit=9)) == []
    assert rows(store, "idempotency") == []
    assert len(rows(store, "audit")) == 1
    assert store.write(insert, call("r")).revision == 2


def test_validate_only_meets_the_same_refusals(store):
    add_model(store, "m")
    with pytest.raises(RegistryError) as caught:
        store.write(insert, call(validate_only=True))
    assert caught.value.reason is Reason.RESOURCE_EXISTS


def test_advance_may_be_called_once_only(store):
    with pytest.raises(RuntimeError, match="twice"):
        store.write(lambda unit: (unit.advance("a"), unit.advance("b")))


def test_events_and_stamped_rows_need_advance_first(store):
    with pytest.raises(RuntimeError, match="advance"):
        store.write(lambda unit: unit.record(Action.CREATED, model()))
    with pytest.raises(RuntimeError, match="advance"):
        store.write(lambda unit: unit.models.insert(model()))


def test_a_reader_can_neither_lock_nor_write(store):
    with pytest.raises(RuntimeError, match="reader"):
        store.read(lambda reader: reader.models.insert(model()))
    with pytest.raises(RuntimeError, match="reader"):
        store.read(lambda reader: reader.projects.lock("default"))


def test_what_is_no_resource_is_no_event(store):
    with pytest.raises(TypeError, match="str"):
        change(store, lambda unit, _: unit.record(Action.CREATED, "text"))


def test_the_audit_entry_can_be_computed_again_from_what_is_kept(store):
    done = store.write(insert, call("r"))
    entry = rows(store, "audit")[-1]
    payload = RESOURCES["model"][1].encode(done.get()).encode()
    assert (entry.audit_index, entry.revision, entry.outcome) == (2, 2, "applied")
    assert (entry.actor, entry.method, entry.request_id) == (ADA.name, "Tests.Change", "r")
    assert entry.resource == "projects/default/models/m"
    assert entry.detail == hashlib.sha256(payload).digest()
    assert b"projects/default/models/m" in entry.leaf


@pytest.mark.parametrize("names", [[], ["a"], ["a"] * 6, ["a", "b", "a"], ["a"] * 40], ids=len)
def test_a_write_keeps_every_event_with_its_audit_entry_and_answer_however_many_there_are(store, names):
    changed = [model(name, revision=2) for name in names]

    def work(unit):
        unit.advance("tests")
        unit.record_all(Change(Action.UPDATED, each) for each in changed)

    done = store.write(work, call("r", encode=lambda _: b"answer"))
    assert [one.after for one in done.events] == changed
    assert tuple(all_events(store)[1:]) == done.events
    payloads = b"".join(RESOURCES["model"][1].encode(each).encode() for each in changed)
    assert rows(store, "audit")[-1].detail == (hashlib.sha256(payloads).digest() if names else b"")
    assert [(one.request_id, one.revision, one.answer) for one in rows(store, "idempotency")] == [("r", 2, b"answer")]


def test_a_unit_reads_the_version_it_has_just_written(store):
    made = add_model(store)

    def work(unit):
        written = version(made, unit.models.number_version(made.name).number, revision=unit.advance("tests"))
        unit.versions.insert(written)
        assert unit.versions.get(written.name) == written
        return written

    written = store.write(work).get()
    assert store.read(lambda reader: reader.versions.get(written.name)) == written


@pytest.mark.parametrize("validate_only", [False, True])
def test_a_version_of_no_model_is_a_mistake_that_shows_even_when_only_validating(store, validate_only):
    def work(unit):
        unit.versions.insert(version(model(), 1, revision=unit.advance("tests")))

    with pytest.raises(IntegrityError):
        store.write(work, call("r", validate_only=validate_only))
    assert len(all_events(store)) == 1


def test_many_writers_get_dense_revisions_and_dense_version_numbers(store):
    made = add_model(store)
    done = at_once(32, lambda _: [add_version(store, made) for _ in range(50)])
    versions = [one for some in done for one in some]
    assert sorted(one.name.number for one in versions) == list(range(1, 1601))
    assert sorted(one.revision for one in versions) == list(range(3, 1603))
    assert [one.revision for one in all_events(store)] == list(range(1, 1603))
    assert [row.audit_index for row in rows(store, "audit")] == list(range(1, 1603))


def test_a_write_inside_a_write_is_refused_or_done_but_never_hangs(store):
    def work(unit):
        return store.write(lambda inner: inner.now).get()

    with contextlib.suppress(RuntimeError):  # SQLite has one writer
        assert store.write(work).revision == 0


def test_now_is_one_moment_in_a_unit_and_follows_the_test_offset(store):
    before = store.now()
    assert before.utcoffset() == timedelta(0)
    first, second = store.write(lambda unit: (unit.now, unit.now)).get()
    assert first == second
    store.clock_offset = timedelta(days=2)
    assert store.now() - before >= timedelta(days=2)
    assert store.write(lambda unit: unit.now, call("r")).get() - before >= timedelta(days=2)


def test_an_observer_hears_of_a_commit_before_the_caller_gets_its_answer(store):
    heard = []

    class Observer:
        def committed(self, revision, events):
            heard.append((revision, events))

    store.observer = Observer()
    done = store.write(insert, call("r"))
    assert heard == [(done.revision, done.events)]
    store.write(insert, call("r"))
    store.write(lambda unit: unit.now)
    assert len(heard) == 1


def test_snapshot_reads_see_one_revision(store):
    made = add_model(store)

    def work(reader):
        before = reader.feed.head()
        add_version(store, made)
        return before, reader.feed.head(), reader.versions.list(made.uid, after=0, limit=9)

    before, after, versions = store.read(work, snapshot=True)
    assert (before, versions) == (after, [])
    assert store.read(lambda reader: reader.feed.head()) == before + 1


def test_errors_in_work_reach_the_caller_as_they_are(store):
    class PeculiarError(Exception):
        pass

    def work(_):
        raise PeculiarError

    with pytest.raises(PeculiarError):
        store.read(work)
    with pytest.raises(PeculiarError):
        store.write(work, call("r"))
