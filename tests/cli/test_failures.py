import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MREG = Path(sys.executable).parent / "mreg"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["models", "get", "nowhere"], 3),
        (["resolve", "nowhere@production"], 3),
        (["models", "get", "No Good"], 2),
        (["versions", "get", "fraud"], 3),
        (["push", "/does/not/exist", "fraud"], 2),
        (["push", "."], 2),
        (["models"], 2),
        (["no-such-command"], 2),
        (["push", ".", "fraud", "--metric", "auc=high"], 2),
        (["push", ".", "fraud", "--tag", "team"], 2),
        (["pull", f"fraud/1@sha256:{'0' * 64}"], 3),
        (["models", "list", "--filter", "ownr = me"], 2),
    ],
    ids=str,
)
def test_exit_codes_say_what_kind_of_failure_it_was(connected, command, code):
    result = connected(*command)
    assert result.code == code, result.err
    assert "Traceback" not in result.err


def test_a_pinned_digest_that_does_not_fit_is_an_integrity_error(connected, tree):
    connected("push", tree, "pinned")
    result = connected("pull", f"pinned/1@sha256:{'0' * 64}")
    assert result.code == 7
    assert "pins another" in result.err


def test_no_token_is_denied_and_says_what_to_do(connected, monkeypatch, tmp_path):
    monkeypatch.setenv("MREG_DATA_DIR", str(tmp_path))
    result = connected("models", "list")
    assert result.code == 4
    assert "--token-file" in result.err
    (tmp_path / "token").write_text("mreg_" + "a" * 40)
    assert connected("models", "list", "--token-file", tmp_path / "token").code == 4


def test_no_registry_is_unavailable_and_says_what_to_do(mreg):
    result = mreg("--endpoint", "127.0.0.1:1", "--timeout", "2", "models", "list")
    assert result.code == 6
    assert "127.0.0.1:1" in result.err
    assert "mreg doctor" in result.err
    assert len(result.err.splitlines()) == 1


def test_verbose_errors_name_reason_and_facts(connected):
    brief = connected("models", "get", "nowhere")
    assert len(brief.err.splitlines()) == 1
    assert "nowhere" in brief.err
    verbose = connected("models", "get", "nowhere", "-v")
    assert "reason: MODEL_NOT_FOUND" in verbose.err
    assert "resource: projects/default/models/nowhere" in verbose.err
    assert "request id: " in verbose.err


def test_doctor_says_where_it_ends(connected, mreg, monkeypatch, tmp_path):
    assert connected("doctor").code == 0
    monkeypatch.setenv("MREG_DATA_DIR", str(tmp_path))
    denied = connected("doctor")
    assert denied.code == 4
    assert "FAIL" in denied.out
    monkeypatch.setattr("registry_grpc.cli.diagnosis.CONNECT_TIMEOUT_S", 0.5)
    assert mreg("doctor", "--endpoint", "127.0.0.1:1").code == 6


def test_an_interrupted_push_says_how_to_go_on_and_does(server, tmp_path):
    path = tmp_path / "weights.bin"
    block = os.urandom(1 << 20)
    with path.open("wb") as stream:
        for number in range(400):
            stream.write(number.to_bytes(4, "big") + block[4:])
    environment = os.environ | {"MREG_ENDPOINT": server.endpoint, "MREG_DATA_DIR": str(server.data_dir)}
    # Whoever runs the tests in the background may have SIGINT ignored, and children inherit that.
    command = ["env", "--default-signal=INT", MREG, "push", path, "interrupted"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for_upload(server)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out == ""
    assert f"mreg push {path} interrupted" in err
    assert "Traceback" not in err
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mreg://default/interrupted/1@sha256:")
    assert done.stderr == ""


def _wait_for_upload(server):
    from registry_grpc.client import NotFound, Registry

    with Registry(server.endpoint, token=server.token) as registry:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if any(upload.persisted_size for upload in registry.list_uploads("interrupted/1")):
                    return
            except NotFound:
                pass
            time.sleep(0.02)
    raise AssertionError("the push never began")


def test_a_closed_pipe_is_no_traceback(server):
    environment = os.environ | {"MREG_ENDPOINT": server.endpoint, "MREG_DATA_DIR": str(server.data_dir)}
    process = subprocess.Popen(
        [MREG, "models", "list"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()
