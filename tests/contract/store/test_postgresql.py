import itertools
import math
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, select, text

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.metadata import Metadata, Metric
from registry_grpc.server.ids import RandomIds
from registry_grpc.storage.sql import SqlStore
from registry_grpc.storage.sql import postgresql as room
from registry_grpc.storage.sql.inserts import Listed, insert_rows
from registry_grpc.storage.sql.tables import search_text
from registry_grpc.usecases.versions import CreateVersion
from tests.contract.store.builders import add_model, all_events, at_once, call
from tests.kit import engines


@pytest.fixture
def store(postgres_url):
    store = SqlStore(postgres_url, auto_upgrade=True)
    yield store
    store.close()


def execute(view, statement):
    return view.session.connection.execute(text(statement))


def backend(view):
    return execute(view, "SELECT pg_backend_pid()").scalar()


def kill(store, pid):
    store.read(lambda reader: execute(reader, f"SELECT pg_terminate_backend({pid}, 5000)"))


def reason_of(work):
    with pytest.raises(RegistryError) as caught:
        work()
    return caught.value.reason


def test_a_dead_database_is_unavailable_within_two_seconds_and_recovers_without_a_new_store():
    with engines.private_postgres() as server:
        store = SqlStore(server.url, auto_upgrade=True)
        add_model(store, "before")
        server.kill()
        for work in (
            store.now,
            store.ping,
            lambda: add_model(store, "x"),
            lambda: store.acquire_lease("a", "b", timedelta(seconds=9)),
        ):
            begin = time.monotonic()
            with pytest.raises(RegistryError) as caught:
                work()
            assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
            assert caught.value.retry_after_s == 1
            assert time.monotonic() - begin < 2.5
        server.start()
        store.ping()
        add_model(store, "after")
        assert [one.revision for one in all_events(store)] == [1, 2, 3]
        store.close()


def test_sessions_have_their_time_limits(store):
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_isolation")
    found = store.write(lambda unit: [execute(unit, f"SHOW {name}").scalar() for name in names]).get()
    assert found == ["5s", "2s", "5s", "read committed"]


def test_a_connection_lost_before_the_commit_is_made_good_by_running_again(store):
    attempts = []

    def work(unit):
        revision = unit.advance("tests")
        attempts.append(revision)
        if len(attempts) == 1:
            kill(store, backend(unit))
        execute(unit, "SELECT 1")

    assert store.write(work).revision == 2
    assert attempts == [2, 2]


def test_a_connection_lost_while_idle_is_not_noticed_by_the_caller(store):
    pids = set(at_once(4, lambda _: store.read(backend)))
    keeper = SqlStore(store._database._engine.url.render_as_string(hide_password=False))
    for pid in pids:
        kill(keeper, pid)
    keeper.close()
    add_model(store)


def test_a_deadlock_is_solved_by_running_one_of_the_two_again(store):
    first, second = add_model(store, "a"), add_model(store, "b")
    barrier = threading.Barrier(2)
    runs = []

    def crossed(number):
        order = (first, second) if number else (second, first)

        def work(unit):
            runs.append(number)
            unit.models.lock(order[0].name)
            if len(runs) <= 2:
                barrier.wait()
            unit.models.lock(order[1].name)
            return unit.advance("tests")

        return store.write(work).revision

    assert sorted(at_once(2, crossed)) == [4, 5]
    assert len(runs) == 3


def test_a_lock_that_is_never_given_up_becomes_a_conflict(store, monkeypatch):
    held = add_model(store)
    locked, done = threading.Event(), threading.Event()

    def hold(unit):
        unit.models.lock(held.name)
        locked.set()
        while not done.wait(1):
            execute(unit, "SELECT 1")  # not idle, or the server would end it

    holder = threading.Thread(target=store.write, args=(hold,))
    holder.start()
    locked.wait()
    try:
        assert reason_of(lambda: store.write(lambda unit: unit.models.lock(held.name))) is Reason.TRANSACTION_CONFLICT
    finally:
        done.set()
        holder.join()


def test_a_conflict_is_tried_five_times_with_growing_pauses_of_random_length(store):
    began = []

    def work(unit):
        began.append(time.monotonic())
        execute(unit, "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    assert reason_of(lambda: store.write(work)) is Reason.TRANSACTION_CONFLICT
    pauses = [after - before for before, after in itertools.pairwise(began)]
    assert len(pauses) == 4
    for number, pause in enumerate(pauses, 1):
        longest = 0.01 * 2**number
        assert longest / 2 <= pause < longest + 0.25, pauses


def test_a_connection_that_leads_to_a_standby_is_given_up(store):
    pids = []

    def work(unit):
        pids.append(backend(unit))
        execute(unit, "SET TRANSACTION READ ONLY")
        unit.advance("tests")

    for _ in range(2):
        assert reason_of(lambda: store.write(work)) is Reason.DATABASE_UNAVAILABLE
    assert pids[0] != pids[1]


def test_a_statement_that_takes_too_long_is_ended(store):
    assert reason_of(lambda: store.read(lambda reader: execute(reader, "SELECT pg_sleep(9)"))) is (
        Reason.DATABASE_UNAVAILABLE
    )


def test_a_pool_without_a_free_connection_is_unavailable_within_two_seconds(postgres_url):
    store = SqlStore(postgres_url, auto_upgrade=True, pool_size=1)
    begin = time.monotonic()
    assert reason_of(lambda: store.read(lambda _: store.now())) is Reason.DATABASE_UNAVAILABLE
    assert time.monotonic() - begin < 3
    store.close()


class Lost:
    """Ends the server's side of the connection around the COMMIT of the next transaction."""

    def __init__(self, store, monkeypatch, *, before):
        self.store, self.before, self.commit, self.left = store, before, room._commit, 1
        monkeypatch.setattr(room, "_commit", self)

    def __call__(self, connection):
        if not self.left:
            return self.commit(connection)
        self.left -= 1
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        if self.before:
            kill(self.store, pid)
            return self.commit(connection)
        self.commit(connection)
        raise room.CommitUnknownError


@pytest.mark.promise("P04", "unknown commit")
@pytest.mark.parametrize("before", [True, False])
def test_a_commit_of_unknown_outcome_is_settled_by_the_answer_kept_with_it(store, monkeypatch, before):
    Lost(store, monkeypatch, before=before)
    given = call("r", encode=lambda _: b"answer")

    def attempt():
        return store.write(lambda unit: unit.advance("tests"), given)

    if before:
        assert reason_of(attempt) is Reason.DATABASE_UNAVAILABLE
        assert attempt().value == 2  # it had not happened
    else:
        assert (attempt().replay, attempt().replay) == (b"answer", b"answer")
    assert store.read(lambda reader: reader.feed.head()) == 2


def test_a_commit_of_unknown_outcome_without_a_request_id_is_unavailable(store, monkeypatch):
    Lost(store, monkeypatch, before=False)
    assert reason_of(lambda: add_model(store)) is Reason.DATABASE_UNAVAILABLE


def test_text_that_postgresql_cannot_hold_is_the_callers_fault(store):
    assert reason_of(lambda: add_model(store, description="a\x00b")) is Reason.INVALID_FIELD
    assert reason_of(lambda: add_model(store, tags={"a": "x\x00"})) is Reason.INVALID_FIELD
    assert add_model(store, annotations={"a": "x\x00"}).annotations == {"a": "x\x00"}


def test_rows_that_reference_a_locked_model_can_still_be_inserted(store):
    made = add_model(store)

    def work(unit):
        unit.models.lock(made.name)
        row = "INSERT INTO pointer VALUES (:uid, 'alias', 'x', 'default', 'm', NULL, 0, 0, 0, NULL, '', '')"
        store.write(lambda other: other.session.connection.execute(text(row), {"uid": made.uid}))

    store.write(work)


def test_the_plain_scheme_is_accepted(postgres_url):
    store = SqlStore(postgres_url.replace("+psycopg", ""), auto_upgrade=True)
    store.ping()
    store.close()


PARSED_ONCE = {"parameters": 50, "characters": 4096}
"""psycopg parses a longer statement, or one with more parameters, again at every call."""


@pytest.mark.parametrize("metrics", [(), (Metric("f1", 0.9), Metric("rmse", math.inf))], ids=["bare", "measured"])
def test_creating_a_version_takes_four_statements_none_of_which_is_parsed_twice(store, metrics):
    made = add_model(store)
    create = CreateVersion(store, RandomIds(), timedelta(days=7))
    seen = []
    listen = (Engine, "before_cursor_execute", lambda *given: seen.append(given[2:4]))
    event.listen(*listen)
    try:
        metadata = Metadata(task="t", metrics=metrics)
        created = create(call("r", encode=lambda _: b"answer"), made.name, {"metadata": metadata}).get()
    finally:
        event.remove(*listen)
    assert [statement.split()[0] for statement, _ in seen] == ["SELECT", "UPDATE", "WITH", "WITH"]
    assert max(len(parameters) for _, parameters in seen) <= PARSED_ONCE["parameters"]
    assert max(len(statement) for statement, _ in seen) <= PARSED_ONCE["characters"]
    assert all_events(store)[-1].after == store.read(lambda reader: reader.versions.get(created.name)) == created


def test_rows_in_a_list_are_inserted_alone_as_they_are_together(store):
    kind, rows = Listed(search_text, ("uid",)), [{"kind": "version", "head": "h", "body": "b", "card": ""}]

    def work(unit):
        connection = unit.session.connection
        insert_rows(connection, [(kind, {"uid": "alone", "rows": rows})])
        insert_rows(connection, [(kind, {"uid": uid, "rows": rows}) for uid in ("one", "other")])
        insert_rows(connection, [(kind, {"uid": "together", "rows": each}) for each in (rows, [])])
        return unit.session.all(select(search_text).order_by(search_text.c.uid))

    found = store.write(work).get()
    assert [tuple(row) for row in found] == [
        (uid, "version", "h", "b", "") for uid in ("alone", "one", "other", "together")
    ]
