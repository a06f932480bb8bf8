"""The suites of helm-unittest beside the chart."""

import subprocess

from tests.kit.chart import CHART
from tests.kit.prometheus import tool


def test_the_suites_of_the_chart_pass():
    done = subprocess.run([tool("helm-unittest"), "--strict", CHART], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Test Suites: 4 passed" in done.stdout
