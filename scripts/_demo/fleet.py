"""The part of whoever looks after what runs: it is reported, and `mreg drift` says whether it is what should run."""

from __future__ import annotations

import subprocess

from _demo.deployment import MREG, Deployment
from _demo.page import require, say
from registry_grpc.client import Registry

WORKLOAD = "tumour-api"
ENVIRONMENT = "demo"
DIFFERS = 3
"""What `mreg drift` exits with when something differs."""


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
    where = ["--endpoint", deployment.endpoint, "--token-file", str(deployment.token_file)]
    done = subprocess.run([MREG, *where, "drift", model], capture_output=True, text=True, check=False)
    wanted = DIFFERS if expected else 0
    require(done.returncode == wanted, f"`mreg drift` ended with {done.returncode}, not {wanted}:\n{done.stderr}")
    say(f"`mreg drift {model}`:")
    for line in done.stdout.splitlines():
        print(f"     {line}", flush=True)
