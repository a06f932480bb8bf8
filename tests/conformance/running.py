"""One language against one deployment: cases prepared, the driver run, its lines compared."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry_grpc.client import Registry
from tests.conformance.cases import FOR_THE_RUNNER, Case, filled, prepare
from tests.conformance.driver import Case as Variables
from tests.conformance.matching import differences, file_differences

ROOT = Path(__file__).parents[2]
LANGUAGES = ("python", "go", "java", "typescript")
TIME_LIMIT_S = 900


def driver_of(language: str, root: Path = ROOT) -> Path:
    """What runs the cases of a language, in a tree of this repository."""
    return root / "clients" / language / "conformance" / "run"


@dataclass
class Result:
    """What came of one case in one language."""

    case: str
    failures: list[str] = field(default_factory=list)
    skipped: str = ""


@dataclass(frozen=True)
class Place:
    """A deployment, as drivers and the runner reach it."""

    name: str
    endpoint: str
    token: str
    scratch: Path


def run(language: str, cases: list[Case], at: Place, root: Path = ROOT) -> list[Result]:
    """Every case through one driver."""
    with Registry(at.endpoint, token=at.token) as registry, _dead_ends() as ends:
        known = [
            prepare(case, registry, f"c{number:03}-{language}", at.scratch / language / f"{number:03}") | ends
            for number, case in enumerate(cases)
        ]
        steps = [[filled(step, names) for step in case.steps] for case, names in zip(cases, known, strict=True)]
        lines = _driven(driver_of(language, root), cases, steps, at)
    return [judged(case, its, lines[case.name], names) for case, its, names in zip(cases, steps, known, strict=True)]


@contextlib.contextmanager
def _dead_ends() -> Iterator[dict[str, str]]:
    """Endpoints where nobody answers, and where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        refused = gone.getsockname()[1]
    # Never accepted from: the connection is made by the kernel, and nothing is ever said on it.
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        yield {"silent": f"127.0.0.1:{silent.getsockname()[1]}", "refused": f"127.0.0.1:{refused}"}


def environment_of(endpoint: str, token: str) -> dict[str, str]:
    """What a client is started with: this server, and nothing of the developer's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    return clean | {"MREG_ENDPOINT": endpoint, "MREG_TOKEN": token}


def _driven(driver: Path, cases: list[Case], steps: list[list[Any]], at: Place) -> dict[str, list[dict[str, Any]]]:
    """What the driver printed, by case."""
    bare = [[{key: step[key] for key in step if key not in FOR_THE_RUNNER} for step in its] for its in steps]
    given = {"cases": [{"name": case.name, "steps": its} for case, its in zip(cases, bare, strict=True)]}
    file = at.scratch / "cases.json"
    file.write_text(json.dumps(given))
    done = subprocess.run(
        [driver, file],
        env=environment_of(at.endpoint, at.token),
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{driver} ended with {done.returncode}")
    lines = defaultdict(list)
    for line in done.stdout.splitlines():
        said = json.loads(line)
        lines[said["case"]].append(said)
    return lines


def judged(case: Case, steps: list[Any], lines: list[dict[str, Any]], known: dict[str, str]) -> Result:
    """What of a case is not as expected. A step after one that failed is looked at too."""
    result = Result(case.name)
    outcomes = {line["step"]: line["outcome"] for line in lines if "outcome" in line}
    variables = Variables(case.name, dict(known))
    for number, step in enumerate(steps):
        outcome = outcomes.get(number)
        verb = next(iter(step))
        if outcome is None:
            result.failures.append(f"step {number} ({verb}): no outcome")
            continue
        if "skipped" in outcome:
            result.skipped = outcome["skipped"]
            return result
        wanted = variables.filled({key: step[key] for key in FOR_THE_RUNNER if key in step})
        variables.save(step.get("save", {}), outcome.get("reply"))
        result.failures += [f"step {number} ({verb}): {each}" for each in _faults(wanted, outcome)]
    return result


def _faults(wanted: dict[str, Any], outcome: dict[str, Any]) -> Iterator[str]:
    if "error" in wanted:
        if "error" not in outcome:
            yield f"wanted the error {wanted['error']}, came {json.dumps(outcome)[:300]}"
            return
        yield from differences(wanted["error"], outcome["error"])
    elif "reply" not in outcome:
        yield json.dumps(outcome)[:900]
    else:
        yield from differences(wanted.get("expect", {}), outcome["reply"])
        if "files" in wanted:
            yield from file_differences(wanted["files"], Path(outcome["reply"]["path"]))
