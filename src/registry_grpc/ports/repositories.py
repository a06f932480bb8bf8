"""Repositories: the questions the core asks of the store, one Protocol per aggregate.

Writing methods may be called only through a `Unit`; those that stamp a revision only after `Unit.advance`.
Lists are keyset pages: `after` is the sort key of the last item of the page before, exclusive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from registry_grpc.domain.artifacts import Artifact
    from registry_grpc.domain.events import Event
    from registry_grpc.domain.identity import Token
    from registry_grpc.domain.names import ModelName, VersionName
    from registry_grpc.domain.pointers import Assignment, Pointer, PointerKind
    from registry_grpc.domain.resources import Model, Project, Version, VersionState


class Projects(Protocol):
    """Projects."""

    def get(self, project: str) -> Project:
        """Raises: PROJECT_NOT_FOUND."""

    def lock(self, project: str) -> Project:
        """As `get`, held against other writers to the end of the transaction."""

    def list(self, *, after: str, limit: int, descending: bool = False) -> Sequence[Project]:
        """By id."""

    def insert(self, project: Project) -> None:
        """Raises: RESOURCE_EXISTS."""

    def update(self, project: Project) -> None:
        """Replace the row of `project.uid`, which the transaction has locked."""


class Numbered(NamedTuple):
    """A number taken for a new version of a model."""

    model_uid: str
    number: int
    deleted: bool
    """Whether the model is deleted; the number goes back with the transaction."""


class Models(Protocol):
    """Models. The lock of a model serialises every write to it, its versions and its pointers."""

    def get(self, name: ModelName) -> Model:
        """The model, also a deleted one.

        Raises: MODEL_NOT_FOUND (PROJECT_NOT_FOUND when the project is absent).
        """

    def lock(self, name: ModelName) -> Model:
        """As `get`, held against other writers to the end of the transaction.

        On PostgreSQL FOR NO KEY UPDATE, so that rows which reference the model can still be inserted.
        """

    def list(
        self,
        project: str,
        *,
        after: str,
        limit: int,
        descending: bool = False,
        show_deleted: bool = False,
    ) -> Sequence[Model]:
        """By id."""

    def insert(self, model: Model) -> None:
        """Raises: RESOURCE_EXISTS, with `softDeleted` when a deleted model holds the id."""

    def update(self, model: Model) -> None:
        """Replace the row of `model.uid`, which the transaction has locked."""

    def number_version(self, name: ModelName) -> Numbered:
        """Lock the model, also a deleted one, and take its next number: 1 upwards, dense over commits, never reused.

        One statement for both: creating versions is what most writers of a model do at the same time.

        Raises: MODEL_NOT_FOUND (PROJECT_NOT_FOUND when the project is absent).
        """


class Versions(Protocol):
    """Versions. `Version.aliases` is read from the pointers and ignored by writes."""

    def get(self, name: VersionName) -> Version:
        """The version, also a deleted one.

        Raises: VERSION_NOT_FOUND (MODEL_NOT_FOUND, PROJECT_NOT_FOUND when those are absent).
        """

    def find(self, names: Sequence[VersionName]) -> Sequence[Version]:
        """Those that exist, in any order."""

    def list(
        self,
        model_uid: str,
        *,
        after: int,
        limit: int,
        descending: bool = True,
        show_deleted: bool = False,
        states: Collection[VersionState] = (),
        stage: str = "",
    ) -> Sequence[Version]:
        """By number; `after` 0 means from the beginning."""

    def insert(self, version: Version) -> None:
        """Raises: RESOURCE_EXISTS when the version_label is taken in the model."""

    def update(self, version: Version) -> None:
        """Replace the row of `version.uid`; its model is locked.

        Raises: RESOURCE_EXISTS when the version_label is taken in the model.
        """

    def newest_ready(self, model_uid: str) -> Version | None:
        """The READY, not deleted version with the highest number: `latest`."""

    def newest_holder(self, model_uid: str, stage: str) -> Version | None:
        """Of the not deleted versions in `stage`, the one that came last."""

    def by_manifest_digest(self, model_uid: str, manifest_digest: str) -> Version | None:
        """Of the finalized, not deleted versions with this digest, the one with the highest number."""

    def stages_in_use(self, project: str) -> Sequence[tuple[str, VersionName]]:
        """For each stage that has a holder anywhere in the project, one holder."""

    def multiply_held(self, project: str) -> Sequence[tuple[str, ModelName]]:
        """Each stage of a model of the project that has more than one holder."""

    def set_stage_exclusive(self, project: str, stage: str, *, exclusive: bool) -> None:
        """Carry a changed `exclusive` of a stage over to its holders, for the unique index."""

    def expired_drafts(self, limit: int) -> Sequence[Version]:
        """Not deleted drafts past their expire_time."""


class Pointers(Protocol):
    """Pointers. A stage that never had a holder has none."""

    def get(self, model_uid: str, kind: PointerKind, pointer_id: str) -> Pointer | None:
        """The pointer, with its target as it is now."""

    def list(
        self,
        model_uid: str,
        kind: PointerKind | None = None,
        *,
        after: str = "",
        limit: int = 1000,
    ) -> Sequence[Pointer]:
        """By id."""

    def of_version(self, version_uid: str) -> Sequence[Pointer]:
        """Stage, alias and latest pointers that point at the version."""

    def put(self, pointer: Pointer) -> None:
        """Insert or replace. Its model is locked."""

    def delete(self, model_uid: str, kind: PointerKind, pointer_id: str) -> None:
        """Remove an alias. Its model is locked."""

    def aliases_named(self, project: str, names: Collection[str]) -> Sequence[Pointer]:
        """Aliases anywhere in the project with one of these names; at most 100."""

    def snapshot(self, *, after: tuple[str, str, str], limit: int) -> Sequence[Pointer]:
        """Pointers of live models that have a target, by (model uid, kind, id): the projection's start."""


class History(Protocol):
    """Stage history, append only."""

    def append(self, assignment: Assignment) -> None:
        """Add a row; (model, revision, index) is unique."""

    def list(self, model_uid: str, stage: str, *, before: tuple[int, int] | None, limit: int) -> Sequence[Assignment]:
        """Arrivals at `stage` (empty: all rows), newest first; `before` is (revision, index), exclusive."""

    def pointer_as_of(self, model_uid: str, stage: str, time: datetime) -> tuple[Assignment | None, bool]:
        """The arrival that made the stage's pointer what it was at `time`, and whether it still stood then.

        None, False when nothing had arrived. False with a row when the stage was vacant at `time`.
        """


class Artifacts(Protocol):
    """Files of versions."""

    def get(self, version_uid: str, artifact_id: str) -> Artifact | None:
        """The file with this id."""

    def list(self, version_uid: str, *, after: str, limit: int) -> Sequence[Artifact]:
        """By the UTF-8 bytes of the path, the same on every engine."""

    def count(self, version_uid: str) -> tuple[int, int]:
        """How many files the version has, and the sum of their sizes in bytes."""

    def colliding(self, version_uid: str, paths: Collection[str]) -> Sequence[str]:
        """Paths of files that may collide with one of `paths` on some file system; `TakenPaths` judges them.

        All files whose `domain.artifacts.folded` path equals, is an ancestor directory of, or lies below the folded
        form of one of `paths`, whatever the case or Unicode form. Must use an index (a column with the folded path).
        """

    def of_blob(self, blob_uid: str, limit: int) -> Sequence[Artifact]:
        """Files with these bytes, in no order."""

    def logical_bytes(self) -> int:
        """Sum of the sizes of all files of all versions: what would be stored without deduplication."""

    def put(self, artifact: Artifact) -> None:
        """Insert, or replace the file at the same path. The model is locked."""


class Tokens(Protocol):
    """Access tokens; only their hash is kept."""

    def get(self, token_id: str) -> Token | None:
        """The token with this public id."""

    def list(self) -> Sequence[Token]:
        """All, by create_time."""

    def insert(self, token: Token) -> None:
        """Add a token."""


class Feed(Protocol):
    """The event log."""

    def head(self) -> int:
        """The newest committed revision; 0 before the first."""

    def after(self, revision: int, limit: int) -> Sequence[Event]:
        """Events above `revision` in (revision, index) order: whole revisions, at least one, about `limit` events."""
