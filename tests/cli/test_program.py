import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry_grpc import __version__
from registry_grpc.cli import options, output
from registry_grpc.cli.app import with_globals_first
from registry_grpc.cli.context import Globals
from registry_grpc.cli.serving import parse
from registry_grpc.v1 import metadata_pb2, stages_pb2, versions_pb2

MREG = Path(sys.executable).parent / "mreg"


def test_global_options_may_stand_anywhere():
    assert with_globals_first(["models", "list", "-o", "json"]) == ["-o", "json", "models", "list"]
    assert with_globals_first(["push", "a", "b", "--endpoint=h:1", "-q"]) == ["--endpoint=h:1", "-q", "push", "a", "b"]
    assert with_globals_first(["pull", "--", "-o"]) == ["pull", "--", "-o"]
    assert with_globals_first(["models", "-o"]) == ["-o", "models"]


def test_help_is_fast_and_documents_the_exit_codes(mreg):
    result = mreg("--help")
    assert result.code == 0
    assert "7 integrity" in " ".join(result.out.split())
    program = (
        "import time, sys; begin = time.process_time(); import registry_grpc.cli.app; "
        "print(time.process_time() - begin, *sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert float(out[0]) < 0.3
    assert not {"grpc", "google.protobuf", "sqlalchemy", "yaml", "registry_grpc.server", "rich.progress"} & set(out[1:])


@pytest.mark.parametrize(
    "command",
    [
        *(["push", "pull", "resolve", "promote", "rollback", "history", "doctor", "completion", "serve"]),
        *(["models", "versions", "aliases", "projects", "db"]),
    ],
)
def test_every_command_has_help(mreg, command):
    result = mreg(command, "--help")
    assert result.code == 0
    assert "Usage" in result.out


def test_the_version_is_told(mreg):
    assert mreg("--version").out == f"mreg {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_completes(mreg, shell):
    script = mreg("completion", shell)
    assert script.code == 0
    assert "_MREG_COMPLETE" in script.out


def test_bash_is_told_the_commands():
    environment = os.environ | {"_MREG_COMPLETE": "complete_bash", "COMP_WORDS": "mreg ver", "COMP_CWORD": "1"}
    done = subprocess.run([MREG], env=environment, capture_output=True, text=True, check=False)
    assert "versions" in done.stdout


def test_parameters_take_the_type_they_look_like():
    texts = ["i=3", "f=0.1", "e=1e-3", "b=true", "s=relu", 'q="3"', "u=1_000", "eq=a=b"]
    assert options.typed(texts, "--param") == {
        "i": 3, "f": 0.1, "e": 1e-3, "b": True, "s": "relu", "q": "3", "u": "1_000", "eq": "a=b",
    }  # fmt: skip


def test_json_has_numbers_where_every_reader_keeps_them():
    version = versions_pb2.ModelVersion(number=7, total_size_bytes=2**53 - 1, file_count=3, revision=2**53)
    version.parameters["n"].int64_value = 5
    version.metrics.append(metadata_pb2.Metric(name="loss", value=float("nan")))
    version.signature.inputs.append(metadata_pb2.TensorSpec(name="x", shape=[-1, 3]))
    shown = output.plain(version)
    assert (shown["number"], shown["total_size_bytes"], shown["file_count"]) == (7, 2**53 - 1, 3)
    assert shown["revision"] == str(2**53)
    assert shown["parameters"]["n"]["int64_value"] == 5
    assert shown["metrics"][0]["value"] == "NaN"
    assert shown["signature"]["inputs"][0]["shape"] == [-1, 3]


def test_a_server_cannot_drive_the_terminal():
    assert "\x1b" not in output.cell("\x1b[2Jgone\u202e")
    assert output.cell("\x1b[2Jgone") == " [2Jgone"


def test_tables_cut_nothing_off():
    text = output.table(["a", "b"], [["x" * 300, ""], [1, {"k": "v"}]])
    assert "x" * 300 in text
    assert text.splitlines()[1].endswith("-")
    assert text.splitlines()[2].endswith("k=v")


def test_enums_from_the_future_are_shown_as_numbers():
    assert output.short_enum(stages_pb2.StageAction, 2, "STAGE_ACTION_") == "promoted"
    assert output.short_enum(stages_pb2.StageAction, 99, "STAGE_ACTION_") == "99"


def test_progress_is_only_for_terminals(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert Globals().shows_progress
    assert not Globals(no_progress=True).shows_progress
    assert not Globals(quiet=True).shows_progress
    monkeypatch.setenv("CI", "1")
    assert not Globals().shows_progress


def test_settings_of_the_server_are_flags_of_the_same_name(mreg):
    flags, config, check = parse(
        [
            "--data-dir",
            "/x",
            "--listen=a:1",
            "--listen",
            "b:2",
            "--no-uvloop",
            "--reflection",
            "--check",
            "--config",
            "c.toml",
        ]
    )
    assert flags == {"data_dir": "/x", "listen": ("a:1", "b:2"), "uvloop": False, "reflection": True}
    assert (config, check) == (Path("c.toml"), True)
    assert "--artifact-store file|s3" in mreg("serve", "--help").out


def test_serve_checks_its_settings_and_reports_every_fault(mreg, tmp_path):
    assert mreg("serve", "--check", "--data-dir", tmp_path / "d").code == 0
    result = mreg("serve", "--check", "--no-such", "1", "--tls-cert", "/does/not/exist")
    assert result.code == 2
    assert "no-such" in result.err
    assert mreg("serve", "stray").code == 2


def test_serve_serves_until_it_is_told_to_stop(tmp_path):
    command = [MREG, "serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", "--metrics-listen", "off"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert '"ports"' in process.stdout.readline()
        second = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
        assert second.returncode == 1
        assert "Traceback" not in second.stderr
        time.sleep(0.1)
        process.terminate()
        assert process.wait(40) == 0
    finally:
        process.kill()
        process.communicate()


def test_the_schema_is_checked_and_upgraded(mreg, tmp_path):
    data = tmp_path / "data"
    before = mreg("db", "check", "--data-dir", data)
    assert before.code == 5
    assert "mreg db upgrade" in before.err
    assert "empty ->" in mreg("db", "upgrade", "--data-dir", data).out
    assert "no change" in mreg("db", "upgrade", "--data-dir", data).out
    assert mreg("db", "check", "--data-dir", data).code == 0
