"""The part of whoever trains and releases: push, compare, promote."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _demo.page import require, say, show
from _demo.review import review
from _demo.training import DATASET, DIRECTIONS, Data, Trained, installed
from registry_grpc.client import Conflict, Phase, Registry
from registry_grpc.v1.versions_pb2 import ModelVersion

CLONE = Path(__file__).resolve().parent.parent.parent
CHOSEN_BY = "auc"
ROLES = {"train": "train", "validation": "validation", "test": "test"}


def push_both(registry: Registry, model: str, models: Sequence[Trained], data: Data) -> list[ModelVersion]:
    """A version for each, with everything known about it; pushing again makes no second one."""
    registry.create_model(model, description="Tells malignant from benign tumours.", owner="demo")
    versions = []
    for trained in models:
        fields = _fields(trained, data)
        version = registry.push(model, trained.directory, **fields)
        phases: set[Phase] = set()
        again = registry.push(model, trained.directory, progress=lambda told: phases.add(told.phase), **fields)  # noqa: B023 -- called within push
        require(again.number == version.number, f"the same push made version {again.number} beside {version.number}")
        require(phases == {Phase.HASH}, f"the same push did more than look: {sorted(phases)}")
        formats = ", ".join(f"{found.name} (runs code when loaded)" for found in version.formats if found.executable)
        show(
            [
                (f"version {version.number}", version.algorithm),
                ("  pinned", version.location),
                ("  files", f"{version.file_count}, {version.total_size_bytes:,} bytes; found inside: {formats}"),
                ("  stage", version.stage),
            ]
        )
        versions.append(version)
    say("Each was pushed a second time: the registry returned the same versions and no file was sent.")
    return versions


def _fields(trained: Trained, data: Data) -> dict[str, Any]:
    dependencies = installed()
    return {
        "framework": dependencies[0],
        "algorithm": trained.algorithm,
        "task": "binary-classification",
        "domain": "tabular",
        "owner": "demo",
        "description": f"{trained.algorithm} on {DATASET}",
        "model_card": trained.card,
        "signature": trained.signature,
        "parameters": trained.parameters,
        "dependencies": dependencies,
        "metrics": [
            {
                "name": name,
                "value": value,
                "dataset": DATASET,
                "dataset_version": data.version,
                "slice": split,
                "direction": DIRECTIONS[name],
                "measure_time": trained.ended,
            }
            for (split, name), value in trained.metrics.items()
        ],
        "training_run": {"id": trained.run_id, "start_time": trained.began, "end_time": trained.ended},
        "training_data": [
            {"name": DATASET, "version": data.version, "digest": split.digest, "role": ROLES[split.name]}
            for split in (data.train, data.validation, data.test)
        ],
        **({"code": code} if (code := _code()) else {}),
    }


def _code() -> dict[str, Any]:
    """The commit this runs from; nothing outside of a git clone."""
    try:
        revision = _git("rev-parse", "HEAD")
        dirty = bool(_git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"revision": revision, "path": "scripts/_demo/training.py", "dirty": dirty}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=CLONE, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def compare(registry: Registry, versions: Sequence[ModelVersion]) -> tuple[ModelVersion, ModelVersion]:
    """The better version and the other, by what the registry says of them."""
    held = registry.batch_get_versions(version.name for version in versions)
    values = [metrics_of(version) for version in held]
    left, right = held
    header = ("metric", "rows", f"version {left.number}", f"version {right.number}", "better")
    rows = [
        (name, split, f"{values[0][split, name]:.4f}", f"{values[1][split, name]:.4f}", DIRECTIONS[name])
        for split, name in values[0]
    ]
    show([header, *rows])
    best = max((0, 1), key=lambda at: values[at]["validation", CHOSEN_BY])
    better, other = held[best], held[1 - best]
    say(f"Chosen by {CHOSEN_BY} on the validation rows: version {better.number}, {better.algorithm}.")
    return better, other


def metrics_of(version: ModelVersion) -> dict[tuple[str, str], float]:
    """(slice, name) to value."""
    return {(metric.slice, metric.name): metric.value for metric in version.metrics}


def promote_to_production(registry: Registry, reviewer: Registry, version: ModelVersion) -> None:
    """Through staging into a production that nobody holds, after somebody else approved it."""
    require(version.stage == "development", f"a finalized version is in {version.stage}, not in development")
    staged = registry.promote(version.location, "staging", reason=f"best {CHOSEN_BY} on validation")
    say(f"Staging holds version {staged.stage.version_number}: {staged.stage.justification}.")
    review(registry, reviewer, version)
    released = registry.promote(version.location, "production", expected=0, reason="first release")
    say(
        f"Production holds version {released.stage.version_number}: {released.stage.justification}. It was moved on "
        "condition that production was vacant (compare and swap)."
    )


def take_over(registry: Registry, reviewer: Registry, version: ModelVersion, holder: ModelVersion) -> None:
    """Put `version` in the place of `holder`, after a release that looked too early was refused."""
    registry.promote(version.location, "staging", reason="candidate")
    try:
        registry.promote(version.location, "production", expected=0, reason="I saw it vacant")
    except Conflict as error:
        require(error.reason == "STAGE_MOVED", f"a lost race should be STAGE_MOVED, not {error.reason}")
        say(f"A release that believed production was still vacant is refused ({error.reason}).")
    else:
        require(holds=False, failure="a release on a false condition went through")
    review(registry, reviewer, version)
    moved = registry.promote(version.location, "production", expected=holder.number, reason="try the other one")
    displaced = registry.get_version(holder.name)
    say(
        f"Version {moved.stage.version_number} holds production now; version {displaced.number} went to "
        f"{displaced.stage} in the same transaction."
    )
