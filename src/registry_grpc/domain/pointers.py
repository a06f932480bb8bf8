"""Pointers (stage, alias, latest) from a name to a version, and the history of stages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry_grpc.domain.digests import etag_of
from registry_grpc.domain.names import ModelName, PointerName, VersionName


class PointerKind(StrEnum):
    """What a pointer is. `LATEST` is kept by the server and has the id `latest`."""

    STAGE = "stage"
    ALIAS = "alias"
    LATEST = "latest"


class StageAction(StrEnum):
    """How a version came into, or left, a stage."""

    FINALIZED = "finalized"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    DISPLACED = "displaced"
    VACATED = "vacated"
    DELETED = "deleted"
    UNDELETED = "undeleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What Resolve must know about the version a pointer points at."""

    name: VersionName
    uid: str
    manifest_digest: str
    file_count: int
    total_size_bytes: int
    stage: str
    """Stage that holds the version now; may differ from the pointer it was reached by."""
    yanked: bool = False

    @property
    def location(self) -> str:
        """Pinned reference."""
        return self.name.location(self.manifest_digest)


@dataclass(frozen=True, slots=True)
class Freeze:
    """Nothing moves in or out of a stage."""

    reason: str
    actor: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Where a stage, an alias or `latest` of one model points.

    A stage that was vacated keeps its pointer with no target, so that generation and revision go on rising.
    A non-exclusive stage points at its newest holder. A deleted alias has no pointer; its removal is an event
    with `target` None.
    """

    model: ModelName
    model_uid: str
    kind: PointerKind
    id: str
    target: Target | None
    previous_number: int = 0
    """Number of the version it pointed at before; 0 for none."""
    generation: int = 0
    revision: int = 0
    set_time: datetime | None = None
    actor: str = ""
    justification: str = ""
    freeze: Freeze | None = None
    """Of a stage. It is no change of where the stage points: revision, generation and etag stay."""

    @property
    def name(self) -> PointerName:
        """Resource name. `latest` counts as an alias."""
        collection = "stages" if self.kind is PointerKind.STAGE else "aliases"
        return PointerName(self.model.project, self.model.model, collection, self.id)

    @property
    def number(self) -> int:
        """Number of the version it points at; 0 when vacant."""
        return self.target.name.number if self.target else 0

    @property
    def etag(self) -> str:
        """Changes with every change of the pointer, also of one that never had a target."""
        return etag_of(f"{self.model_uid}/{self.kind}/{self.id}", self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One row of stage history: a version came to a stage (or left all stages: `stage` empty)."""

    model_uid: str
    revision: int
    index: int
    """Order inside the revision; the row a caller asked for comes last."""
    stage: str
    from_stage: str
    version: VersionName
    version_uid: str
    manifest_digest: str
    previous_number: int
    action: StageAction
    actor: str
    justification: str
    request_id: str
    assign_time: datetime
    promotion_request: str = ""
    """Name of the one it committed."""
    policies: tuple[str, ...] = ()
    """Those that were fulfilled, as `{name}@{policy_version}`."""
    break_glass: bool = False
