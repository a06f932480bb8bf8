"""`mreg watch` in a process of its own, as people and scripts run it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from registry_grpc.client import Registry
from tests.kit.waiting import until


@pytest.fixture
def registry(server):
    with Registry(server.endpoint, token=server.token) as client:
        yield client


def test_what_is_there_is_told_once_in_every_form(connected, registry):
    registry.create_model("told")
    assert "models/told" in connected("watch", "told", "--once").out
    lines = connected("watch", "told", "--once", "-o", "json").out.splitlines()
    assert json.loads(lines[0])["event"]["name"] == "projects/default/models/told"
    assert connected("watch", "told", "--once", "-o", "name").out == "projects/default/models/told\n"
    assert connected("watch", "absent", "--once").code == 3
    assert connected("watch", "told/1").code == 2


def test_a_command_runs_for_each_change_and_knows_what_it_is(server, registry, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"w")
    version = registry.push("deployed", tmp_path / "w.bin")
    log = tmp_path / "log"
    command = f'echo "$MREG_EVENT $MREG_LOCATION" >> {log}'
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    environment |= {"MREG_ENDPOINT": server.endpoint, "MREG_DATA_DIR": str(server.data_dir)}
    mreg = Path(sys.executable).parent / "mreg"
    process = subprocess.Popen(
        # Whoever runs the tests in the background may have SIGINT ignored, and children inherit that.
        ["env", "--default-signal=INT", mreg, "watch", "deployed@staging", "--exec", command],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        registry.promote(version.location, "staging")
        until(lambda: log.exists() and version.location in log.read_text(), 30)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        process.stdout.close()
    # Whichever came first: the watch, which saw it happen, or the promotion, which was the state it began with.
    (line,) = [line for line in log.read_text().splitlines() if version.location in line]
    assert line.split() in (["assigned", version.location], ["state", version.location])
