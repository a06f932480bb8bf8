"""A pytest plugin that ends a test no exception can end, and that names a failure when it happens.

pytest-timeout raises in the main thread; a main thread inside a call into C never gets there, and
the run would wait until CI ends it, with nothing said. This kills the worker instead, after the
stacks of all its threads are on stderr: pytest-xdist fails that test and starts another worker.
"""

import faulthandler
import os
import sys

import pytest

GRACE_S = 60.0
"""Beyond the test's own limit, which pytest-timeout enforces first where it can."""

_stderr = pytest.StashKey[int]()


def pytest_configure(config):
    """Keep a descriptor of stderr that pytest's capture does not replace."""
    config.stash[_stderr] = os.dup(sys.__stderr__.fileno())


def pytest_unconfigure(config):
    """Close the descriptor."""
    faulthandler.cancel_dump_traceback_later()
    os.close(config.stash[_stderr])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Arm the watchdog round a test with its fixtures."""
    marker = item.get_closest_marker("timeout")
    limit = float(marker.args[0]) if marker and marker.args else float(item.config.getini("timeout"))
    stderr = item.config.stash[_stderr]
    faulthandler.dump_traceback_later(limit + GRACE_S, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_runtest_logreport(report):
    """Say at once what failed: a run that is ended from outside prints no summary."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.when} of {report.nodeid} failed:\n{report.longreprtext[-4000:]}", flush=True)
