"""The part of whoever looks after what runs: it is reported, and `mreg drift` says whether it is what should run."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from _demo.deployment import MREG, Deployment
from _demo.page import require, say
from registry_grpc.client import Registry

WORKLOAD = "tumour-api"
ENVIRONMENT = "demo"
DIFFERS = 3
"""What `mreg drift` exits with when something differs."""
DEPLOY = """#!/bin/sh
# What a team would put its `kubectl set image` into.
[ -z "$MREG_LOCATION" ] || echo "$MREG_LOCATION" >> deployed
"""
TOLD_WITHIN_S = 30.0


def report(registry: Registry, model: str, version: str) -> None:
    """Say what the controller runs, and which stage it follows."""
    told = registry.deployments.report(version, environment=ENVIRONMENT, workload=WORKLOAD, stage="production")
    running = list(registry.deployments.list(model))
    require([one.version for one in running] == [version], f"{len(running)} deployments are known, one should be")
    say(f"Reported: {told.workload} in {told.environment} runs version {version.rpartition('/')[2]}.")


def drift(deployment: Deployment, model: str, *, expected: bool) -> None:
    """Run `mreg drift` and show what it prints.

    Raises: DemoError unless it exits as it should.
    """
    done = subprocess.run([*_mreg(deployment), "drift", model], capture_output=True, text=True, check=False)
    wanted = DIFFERS if expected else 0
    require(done.returncode == wanted, f"`mreg drift` ended with {done.returncode}, not {wanted}:\n{done.stderr}")
    say(f"`mreg drift {model}`:")
    for line in done.stdout.splitlines():
        print(f"     {line}", flush=True)


class Deployer:
    """What `mreg watch MODEL@production --exec ./deploy.sh` has deployed."""

    def __init__(self, directory: Path) -> None:
        self._deployed = directory / "deployed"

    @property
    def _locations(self) -> list[str]:
        return self._deployed.read_text().split() if self._deployed.exists() else []

    def wait(self, count: int) -> None:
        """Wait until the script has run so often, or should have."""
        end = time.monotonic() + TOLD_WITHIN_S
        while len(self._locations) < count and time.monotonic() < end:
            time.sleep(0.05)

    def show(self, versions: Sequence[str]) -> None:
        """Show what was deployed.

        Raises: DemoError unless it was these versions, in this order, once each.
        """
        self.wait(len(versions))
        ran = [f"versions/{location.partition('@')[0].rpartition('/')[2]}" for location in self._locations]
        wanted = [f"versions/{version.rpartition('/')[2]}" for version in versions]
        require(ran == wanted, f"./deploy.sh ran for {ran}, it should have for {wanted}")
        for location in self._locations:
            print(f"     {location}", flush=True)


@contextmanager
def watched(deployment: Deployment, model: str, work: Path) -> Iterator[Deployer]:
    """A watch that runs a script at each change of production, for as long as the context lasts."""
    directory = work / "deployer"
    directory.mkdir()
    script = directory / "deploy.sh"
    script.write_text(DEPLOY)
    script.chmod(0o700)
    command = [*_mreg(deployment), "watch", f"{model}@production", "--exec", "./deploy.sh"]
    with (directory / "watch.log").open("w") as log:
        watch = subprocess.Popen(command, cwd=directory, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield Deployer(directory)
    finally:
        watch.terminate()
        watch.wait(TOLD_WITHIN_S)


def _mreg(deployment: Deployment) -> list[str]:
    return [str(MREG), "--endpoint", deployment.endpoint, "--token-file", str(deployment.token_file)]
