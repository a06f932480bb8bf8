"""`scripts/demo` tells the truth: it ends well on both deployments, leaves nothing, and says so when a step fails."""

import os
import subprocess
import sys

import pytest

from tests.kit.engines import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

STEPS = ("Start a registry", "Train two models", "Push both", "Compare", "Promote the better", "Serve production")


def demo(tmp_path, **environment):
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return subprocess.run(
        [ROOT / "scripts/demo"],
        env=os.environ | {"TMPDIR": str(scratch)} | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("store", "place"), [("embedded", "the directory artifacts/objects"), ("minio", "the MinIO bucket")]
)
def test_the_demo_ends_well_and_leaves_nothing(tmp_path, service_environment, store, place):
    done = demo(tmp_path, STORE=store)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [step for step in STEPS if step not in done.stdout] == []
    assert place in " ".join(done.stdout.split())
    assert "Everything was checked and held" in done.stdout
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_demo_refuses_a_store_it_does_not_know(tmp_path):
    done = demo(tmp_path, STORE="tape")
    assert done.returncode == 2
    assert "STORE=embedded" in done.stderr


def test_the_demo_fails_with_the_log_of_a_server_that_does_not_start(monkeypatch, capsys, tmp_path):
    from _demo import deployment, run

    program = tmp_path / "mreg"
    program.write_text("#!/bin/sh\necho 'the disk is on fire' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(deployment, "MREG", program)
    assert run.run("embedded") == 1
    assert "demo failed: mreg serve ended with 3:\nthe disk is on fire" in capsys.readouterr().err


def test_the_demo_fails_when_what_was_pulled_is_not_what_was_pinned(monkeypatch, capsys):
    from _demo import controller, run

    monkeypatch.setattr(controller, "manifest_digest", lambda _files: "sha256:other")
    assert run.run("embedded") == 1
    assert "demo failed: the pulled files give sha256:other, the reference pins sha256:" in capsys.readouterr().err


def test_the_demo_fails_when_held_out_accuracy_is_not_what_was_measured(monkeypatch, capsys):
    from _demo import controller, run

    monkeypatch.setattr(controller, "accuracy_score", lambda _labels, _predicted: 0.5)
    assert run.run("embedded") == 1
    assert "demo failed: accuracy on held-out rows is 0.5, the registry has 0.9" in capsys.readouterr().err
