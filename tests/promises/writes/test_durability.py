"""P01 on SQLite: every acknowledged change was synced to the disk, by one process alone."""

import os
import re
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, text

from tests.bench.harness import ROOT
from tests.kit.catalogue import at_once, request_id
from tests.kit.server import running
from tests.kit.waiting import until
from tests.promises.writes.load import creation

CHANGES = 40


class Syncs:
    """Counts fsync and fdatasync of a process from outside, by system call and file."""

    def __init__(self, pid, directory):
        self._trace = directory / "trace"
        found = subprocess.run([ROOT / "scripts/tool", "strace"], check=True, capture_output=True, text=True)
        strace = found.stdout.strip()
        self._process = subprocess.Popen(
            [strace, "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(self._trace), "-p", str(pid)],
            stderr=subprocess.PIPE,
            text=True,
        )
        # It says so once it is attached to every thread.
        assert "attached" in self._process.stderr.readline()

    def stop(self):
        self._process.terminate()
        self._process.wait(10)
        self._process.stderr.close()
        return re.findall(r"(?:fsync|fdatasync)\(\d+<([^>]*)>\) += 0", self._trace.read_text())


@pytest.mark.promise("P01", "settings")
def test_each_acknowledged_change_was_synced_to_the_log_of_the_database(tmp_path):
    with running() as server:
        api = server.api()
        api.models.CreateModel(creation(request_id()))
        syncs = Syncs(server.process.pid, tmp_path)
        for _ in range(CHANGES):
            api.models.CreateModel(creation(request_id()))
        synced = syncs.stop()
        assert sum(path.endswith("registry.db-wal") for path in synced) >= CHANGES
        api.close()


@pytest.mark.promise("P01", "settings")
def test_changes_that_wait_together_are_answered_after_a_sync_they_share(tmp_path):
    with running() as server:
        api = server.api()
        api.models.CreateModel(creation(request_id()))
        syncs = Syncs(server.process.pid, tmp_path)
        made = at_once(16, lambda _: [api.models.CreateModel(creation(request_id())) for _ in range(10)])
        synced = sum(path.endswith("registry.db-wal") for path in syncs.stop())
        # The control pool lets eight writers wait at a time.
        assert 160 / 8 <= synced <= 160
        assert len({model.revision for batch in made for model in batch}) == 160
        api.close()


@pytest.mark.promise("P01", "settings")
def test_a_server_killed_again_and_again_keeps_a_sound_database_that_no_second_process_may_open():
    with running({"drain_wait_s": "0"}) as server:
        acknowledged = []
        for round_ in range(4):
            api = server.api()
            acknowledged += [api.models.CreateModel(creation(request_id())).name for _ in range(10 + round_)]
            # Killed with writes under way, at whatever moment that is.
            under_way = [api.models.CreateModel.future(creation(request_id())) for _ in range(16)]
            until(lambda under_way=under_way: any(each.done() for each in under_way), within_s=10)
            server.kill()
            acknowledged += [each.result().name for each in under_way if each.exception() is None]
            api.close()
            server.start()
            database = server.data_dir / "registry.db"
            refused = second_process(server.data_dir)
            assert refused.returncode
            assert "is open in another process" in refused.stderr
            engine = create_engine(f"sqlite:///{database}")
            with engine.connect() as connection:
                assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
                there = {f"projects/default/models/{id_}" for id_ in connection.scalars(text("SELECT id FROM model"))}
            engine.dispose()
            assert set(acknowledged) <= there


def second_process(data_dir):
    program = "from registry_grpc.cli.app import main; main()"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    return subprocess.run(
        [sys.executable, "-c", program, "serve", "--data-dir", str(data_dir), "--listen", "127.0.0.1:0"],
        env=clean | {"MREG_METRICS_LISTEN": "off"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
