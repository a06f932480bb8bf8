"""The part of whatever serves: resolve, pull what is pinned, verify, load, predict."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import joblib
from sklearn.metrics import accuracy_score

from _demo.deployment import Deployment
from _demo.page import require, say, show
from _demo.release import metrics_of
from _demo.training import Split
from registry_grpc.client import FileDigest, Phase, Registry, manifest_digest
from registry_grpc.v1.stages_pb2 import StageAction
from registry_grpc.v1.versions_pb2 import ModelVersion

STAGE = "production"


@dataclass(frozen=True)
class Running:
    """What the controller runs."""

    version: str
    location: str
    files: tuple[FileDigest, ...]
    accuracy: float
    """On held-out rows."""
    phases: frozenset[Phase]
    """What had to be done to get the files."""


class Controller:
    """Keeps what runs equal to what the stage says."""

    def __init__(self, registry: Registry, model: str, held_out: Split) -> None:
        self._registry = registry
        self._model = model
        self._held_out = held_out
        self._running: Running | None = None

    def reconcile(self) -> Running:
        """Bring what runs in line with the stage.

        Raises: DemoError when bytes, digest or accuracy are not what the registry says.
        """
        wanted = self._registry.resolve(f"{self._model}@{STAGE}")
        phases: set[Phase] = set()
        directory = self._registry.pull(wanted.location, progress=lambda told: phases.add(told.phase))
        files = tuple(_digests(directory))
        pinned = wanted.location.partition("@")[2]
        found = manifest_digest(files)
        require(found == pinned, f"the pulled files give {found}, the reference pins {pinned}")
        # Only now: loading a joblib file runs code that is in it.
        estimator = joblib.load(directory / "model.joblib")
        labels = estimator.predict(self._held_out.features)
        accuracy = float(accuracy_score(self._held_out.labels, labels))
        measured = metrics_of(self._registry.get_version(wanted.version))[self._held_out.name, "accuracy"]
        require(
            abs(accuracy - measured) < 1e-12,  # noqa: PLR2004 -- the same rows through the same bytes
            f"accuracy on held-out rows is {accuracy}, the registry has {measured}",
        )
        show(
            [
                ("resolved", f"{self._model}@{STAGE} -> version {wanted.version_number}"),
                ("pulled", wanted.location),
                ("verified", f"{len(files)} files give the pinned digest"),
                ("predicted", f"{len(labels)} held-out rows, accuracy {accuracy:.4f}, as measured in training"),
            ]
        )
        self._running = Running(wanted.version, wanted.location, files, accuracy, frozenset(phases))
        return self._running

    def require_runs(self, version: ModelVersion) -> None:
        """Raises: DemoError unless `version` is what runs."""
        running = self._running.version if self._running else "nothing"
        require(running == version.name, f"{running} runs, {version.name} should")

    @staticmethod
    def require_same(first: Running, second: Running) -> None:
        """Raises: DemoError unless both have the very same bytes."""
        require(first.files == second.files, "after the rollback the bytes differ from those before")
        require(second.phases == {Phase.CACHED}, f"bytes held already were fetched again: {sorted(second.phases)}")
        say("The bytes are those of the first release, by digest; none had to be fetched, the cache had them.")

    def show_history(self) -> None:
        """The stage history in plain words, oldest first."""
        assignments = list(self._registry.history(self._model))
        rows = [("revision", "version", "from", "to", "how", "why")]
        for row in reversed(assignments):
            how = StageAction.Name(row.action).removeprefix("STAGE_ACTION_").lower().replace("_", " ")
            rows.append(
                (row.revision, row.version_number, row.from_stage or "-", row.stage, how, row.justification or "-")
            )
        show(rows)
        actions = Counter(row.action for row in assignments)
        require(actions[StageAction.STAGE_ACTION_ROLLED_BACK] == 1, "history does not show the one rollback")
        require(actions[StageAction.STAGE_ACTION_PROMOTED] == 4, "history does not show the four promotions")  # noqa: PLR2004 -- two versions, two stages each
        say(
            "Rows with one revision are one transaction: no reader sees production vacant or held by two in between. "
            f"All of it was done by {assignments[0].actor}."
        )

    def show_bytes(self, deployment: Deployment) -> None:
        """What lies in the artifact store for all that."""
        objects = deployment.objects()
        versions = list(self._registry.list_versions(self._model))
        files = [file for version in versions for file in self._registry.list_artifacts(version.name)]
        used_as: dict[str, list[str]] = {}
        for file in files:
            number = file.name.split("/")[5]
            used_as.setdefault(file.digest.sha256, []).append(f"{number}/{file.path}")
        require(
            sorted(stored.sha256 for stored in objects) == sorted(used_as),
            f"the store holds {len(objects)} objects, which are not the {len(used_as)} the versions are made of",
        )
        say(
            f"In {deployment.bytes_place}: {len(objects)} objects for {len(files)} files of {len(versions)} versions; "
            "equal bytes are stored once. Keys are random. Read past the registry, each has its digest:"
        )
        rows = [(stored.key, f"{stored.size_bytes:,}", ", ".join(used_as[stored.sha256])) for stored in objects]
        show([("key", "bytes", "version/file"), *rows])


def _digests(directory: Path) -> list[FileDigest]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [
        FileDigest(
            path.relative_to(directory).as_posix(),
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_size,
        )
        for path in files
    ]
