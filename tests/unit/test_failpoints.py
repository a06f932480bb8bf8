"""Failpoints: nothing unless armed, what is armed exactly then, and written down before it happens."""

import errno
import subprocess
import sys

import pytest

from registry_grpc.failpoints import FailpointError, Failpoints, failpoint

NAME = "write.commit.before"


def test_an_unarmed_process_passes_every_failpoint():
    failpoint(NAME)


def test_the_nth_pass_fires_and_only_that(tmp_path):
    log = tmp_path / "log"
    points = Failpoints(f"{NAME}=error@2", str(log))
    points.hit(NAME)
    assert not log.exists()
    with pytest.raises(FailpointError):
        points.hit(NAME)
    points.hit(NAME)
    assert log.read_text() == f"{NAME}\n"


def test_oserror_raises_that_errno():
    with pytest.raises(OSError, match="No space") as caught:
        Failpoints(f"{NAME}=oserror(28)").hit(NAME)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("spec", ["nowhere=kill", NAME, f"{NAME}=die", f"{NAME}=sleep", f"{NAME}=kill(3)"])
def test_what_cannot_be_meant_is_refused(spec):
    with pytest.raises(ValueError, match="MREG_TEST_FAILPOINTS"):
        Failpoints(spec)


def test_a_place_that_has_no_name_is_found_as_soon_as_anything_is_armed():
    with pytest.raises(ValueError, match="add it to NAMES"):
        Failpoints(f"{NAME}=error").hit("write.somewhere")


def test_kill_is_sigkill_and_is_logged_first(tmp_path):
    log = tmp_path / "log"
    code = f"from registry_grpc.failpoints import failpoint; failpoint({NAME!r}); print('alive')"
    environment = {"MREG_TEST_FAILPOINTS": f"{NAME}=kill", "MREG_TEST_FAILPOINTS_LOG": str(log)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-9, b"")
    assert log.read_text() == f"{NAME}\n"
