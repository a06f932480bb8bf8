import sqlite3
import stat
import subprocess
import sys
import threading

import pytest
from sqlalchemy import text

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.storage.sql import SqlStore, StoreInUseError
from tests.contract.store.builders import add_model, call, model


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "registry.db"


@pytest.fixture
def store(path):
    store = SqlStore(f"sqlite:///{path}", auto_upgrade=True)
    yield store
    store.close()


def pragma(session, name):
    return session.connection.execute(text(f"PRAGMA {name}")).scalar()


def test_a_second_process_is_refused(store, path):
    program = f"from registry_grpc.storage.sql import SqlStore; SqlStore('sqlite:///{path}', auto_upgrade=True)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "StoreInUseError" in done.stderr
    assert "is open in another process" in done.stderr


def test_a_second_store_of_the_same_process_is_refused_until_the_first_is_closed(store, path):
    with pytest.raises(StoreInUseError):
        SqlStore(f"sqlite:///{path}")
    store.close()
    again = SqlStore(f"sqlite:///{path}")
    again.close()


def test_files_are_the_owners_alone(store, path):
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in (path.parent, *path.parent.iterdir())}
    assert modes.pop("data") == 0o700
    assert set(modes.values()) == {0o600}


@pytest.mark.promise("P01", "settings")
def test_writer_and_readers_have_the_settings_that_keep_data_safe(store):
    asked = ("journal_mode", "synchronous", "foreign_keys", "mmap_size", "query_only", "wal_autocheckpoint")
    writer = store.write(lambda unit: [pragma(unit.session, name) for name in asked]).get()
    reader = store.read(lambda reader: [pragma(reader.session, name) for name in asked])
    assert writer == ["wal", 2, 1, 0, 0, 1000]
    assert reader[2:] == [1, 0, 1, 0]


def test_readers_cannot_write_even_past_the_repositories(store):
    with pytest.raises(RegistryError) as caught:
        store.read(lambda reader: reader.session.connection.execute(text("DELETE FROM model")))
    assert "readonly" in str(caught.value.__cause__)


def test_writes_that_wait_together_share_a_commit_and_a_failing_one_only_undoes_itself(store, path):
    busy, queued = threading.Event(), threading.Event()
    results = {}

    def hold(unit):
        busy.set()
        queued.wait()
        return unit.advance("held")

    def insert(number):
        def work(unit):
            unit.models.insert(model(f"m{number}", revision=unit.advance("tests")))
            if number % 2:
                raise LookupError

        try:
            results[number] = store.write(work).revision
        except LookupError:
            # Nobody hears before the common commit, and then everything of it is there.
            results[number] = None

    threads = [threading.Thread(target=store.write, args=(hold,))]
    threads[0].start()
    busy.wait()
    threads += [threading.Thread(target=insert, args=(number,)) for number in range(6)]
    for thread in threads[1:]:
        thread.start()
    while store._database._writer._queue.qsize() < 6:
        pass
    assert results == {}
    queued.set()
    for thread in threads:
        thread.join()
    assert sorted(results[number] for number in (0, 2, 4)) == [3, 4, 5]
    assert {results[number] for number in (1, 3, 5)} == {None}
    found = store.read(lambda reader: reader.models.list("default", after="", limit=9))
    assert [one.name.model for one in found] == ["m0", "m2", "m4"]


def test_what_was_acknowledged_is_there_after_the_process_was_killed(path):
    program = f"""
import os, signal
from registry_grpc.storage.sql import SqlStore
from tests.contract.store.builders import add_model
store = SqlStore('sqlite:///{path}', auto_upgrade=True)
add_model(store)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    store = SqlStore(f"sqlite:///{path}")
    assert len(store.read(lambda reader: reader.models.list("default", after="", limit=9))) == 1
    store.close()


def test_a_file_that_another_program_holds_is_unavailable_and_recovers(store, path):
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RegistryError) as caught:
            add_model(store)
        assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
        assert caught.value.retry_after_s == 1
        other.execute("ROLLBACK")
        add_model(store)
    finally:
        other.close()


def test_a_full_disk_is_unavailable_and_recovers(store):
    def fill(pages):
        store.write(lambda unit: unit.session.connection.execute(text(f"PRAGMA max_page_count={pages}")).scalar())

    fill(1)
    with pytest.raises(RegistryError) as caught:
        add_model(store, description="x" * 10_000_000)
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
    fill(1_000_000)
    add_model(store, "after")


def test_a_closed_store_refuses_writes_instead_of_hanging(path):
    store = SqlStore(f"sqlite:///{path}", auto_upgrade=True)
    store.close()
    with pytest.raises(RuntimeError, match="closed"):
        store.write(lambda unit: unit.now, call())


def test_a_write_inside_a_write_is_refused(store):
    with pytest.raises(RuntimeError, match="inside a write"):
        store.write(lambda _: store.write(lambda inner: inner.now))
