"""How we measure: rounds that visit every contender in turn, ratios inside a round, medians over rounds.

The machine is shared and noisy; a ratio of two things measured seconds apart says more than either figure alone.
Source: section D of the performance research note.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """What one visit measured."""

    value: float
    """The figure compared: calls/s, MB/s."""
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """One thing against its limit, over several rounds."""

    name: str
    unit: str
    limit: str
    goal: str
    samples: Mapping[str, Sequence[Sample]]

    def median(self, contender: str) -> float:
        return statistics.median(sample.value for sample in self.samples[contender])

    def detail(self, contender: str, key: str) -> float:
        return statistics.median(sample.details[key] for sample in self.samples[contender])

    def ratios(self, contender: str) -> list[float]:
        return [
            mine.value / theirs.value
            for mine, theirs in zip(self.samples[contender], self.samples[self.limit], strict=True)
        ]

    def ratio(self, contender: str) -> float:
        return statistics.median(self.ratios(contender))


def compare(
    name: str,
    unit: str,
    contenders: Mapping[str, Callable[[], Sample]],
    *,
    limit: str,
    goal: str,
    rounds: int = 5,
) -> Comparison:
    """Visit every contender once a round, in rotating order; the first round warms up and is dropped."""
    samples: dict[str, list[Sample]] = {key: [] for key in contenders}
    names = list(contenders)
    for number in range(rounds + 1):
        turn = number % len(names)
        for key in names[turn:] + names[:turn]:
            sample = contenders[key]()
            if number:
                samples[key].append(sample)
                print(f"  {name} round {number}: {key} {sample.value:.1f} {unit}", flush=True)
    return Comparison(name, unit, limit, goal, samples)


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much of a call: for `seconds`, or so many `calls`."""

    concurrency: int
    seconds: float = 0.0
    calls: int = 0
    rps: int = 0
    """Most calls a second; 0 for as many as will go."""


def ghz(endpoint: str, call: str, request: object, load: Load, token: str = "") -> Sample:
    """Load one unary method with ghz; fails when any call fails. Calls per second and latencies in ms."""
    amount = [f"--total={load.calls}"] if load.calls else [f"--duration={load.seconds}s", "--duration-stop=wait"]
    tool = subprocess.run([ROOT / "scripts/tool", "ghz"], capture_output=True, text=True, check=True).stdout.strip()
    command = [
        tool,
        "--insecure",
        f"--protoset={ROOT / 'src/registry_grpc/v1/registry_grpc.binpb'}",
        f"--call={call}",
        f"--data={json.dumps(request)}",
        f"--metadata={json.dumps({'authorization': 'Bearer ' + token})}",
        f"--concurrency={load.concurrency}",
        f"--rps={load.rps}",
        f"--connections={min(load.concurrency, 8)}",
        *amount,
        "--format=json",
        endpoint,
    ]
    # A session of its own, as every server has: Linux shares the cores among sessions, and other load is none of its.
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=True)
    report = json.loads(done.stdout)
    errors = {key: count for key, count in report["statusCodeDistribution"].items() if key != "OK"}
    if errors:
        raise AssertionError(f"{call} failed: {errors} {report.get('errorDistribution')}")
    # Linear in the sorted latencies ghz keeps; its percentiles are in nanoseconds.
    at = {item["percentage"]: item["latency"] / 1e6 for item in report["latencyDistribution"]}
    return Sample(report["count"] / (report["total"] / 1e9), {"p50_ms": at[50], "p99_ms": at[99]})


def machine() -> dict[str, str]:
    """Where the figures come from."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "unknown",
    )
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": f"{os.cpu_count()} x {model}",
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "load": " ".join(f"{value:.1f}" for value in os.getloadavg()),
    }
