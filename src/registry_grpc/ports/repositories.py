"""Repositories: the questions the core asks of the store, one Protocol per aggregate.

Writing methods may be called only through a `Unit`; those that stamp a revision only after `Unit.advance`.
Lists are keyset pages: `after` is the sort key of the last item of the page before, exclusive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from registry_grpc.domain.search import ANYTHING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from registry_grpc.domain.events import Event
    from registry_grpc.domain.filters.conditions import Condition
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.names import ModelName, VersionName
    from registry_grpc.domain.pointers import Assignment, Pointer, PointerKind
    from registry_grpc.domain.resources import Model, Project, Version, VersionState
    from registry_grpc.domain.tenancy import Retention


class Projects(Protocol):
    """Projects. While one is deleted, all that is in it answers as if the project were absent."""

    def get(self, project: str) -> Project:
        """The project; in a write it is held as it is.

        Raises: PROJECT_NOT_FOUND, also for a deleted one.
        """

    def find(self, project: str) -> Project:
        """The project, also a deleted one.

        Raises: PROJECT_NOT_FOUND.
        """

    def require(self, project: str) -> None:
        """Raises: PROJECT_NOT_FOUND, also for a deleted one."""

    def retention(self, project: str) -> Retention:
        """How long it keeps things; of an absent one as the server is set to."""

    def lock(self, project: str) -> Project:
        """As `find`, held against other writers to the end of the transaction."""

    def list(
        self,
        *,
        after: str,
        limit: int,
        descending: bool = False,
        show_deleted: bool = False,
        only: Collection[str] | None = None,
    ) -> Sequence[Project]:
        """By id; of the ids in `only` unless it is None."""

    def purgeable(self, limit: int) -> Sequence[Project]:
        """Those past their purge_time, the longest first."""

    def bury(self, project: str, *, buried: bool) -> None:
        """Put all models of the locked project out of reach, or back: `Models.get`, `lock` and `list` heed it."""

    def delete(self, project: str) -> None:
        """Remove the locked row with its stages and usage. Nothing may be in it any more."""

    def insert(self, project: Project) -> None:
        """Raises: RESOURCE_EXISTS, with `softDeleted` when a deleted project holds the id."""

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
        only: Collection[str] | None = None,
        conditions: Tree[Condition] = ANYTHING,
    ) -> Sequence[Model]:
        """By id; of the ids in `only` unless it is None."""

    def insert(self, model: Model) -> None:
        """Raises: RESOURCE_EXISTS, with `softDeleted` when a deleted model holds the id."""

    def update(self, model: Model) -> None:
        """Replace the row of `model.uid`, which the transaction has locked."""

    def lock_uid(self, uid: str) -> Model | None:
        """The model in whatever state, locked; None when it is gone."""

    def lock_all(self, project: str) -> None:
        """Lock every model of the project: nothing in it is being changed then. Before `Projects.lock`."""

    def all_of(self, project: str, *, after: str, limit: int) -> Sequence[Model]:
        """By uid, in whatever state, also of a deleted project."""

    def purgeable(self, limit: int) -> Sequence[Model]:
        """Those past their purge_time, the longest first."""

    def delete(self, uid: str) -> None:
        """Remove the locked model and its pointers. It has no versions any more."""

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

    def list(  # noqa: PLR0913 - what a list is narrowed by
        self,
        model_uid: str,
        *,
        after: int,
        limit: int,
        descending: bool = True,
        show_deleted: bool = False,
        states: Collection[VersionState] = (),
        stage: str = "",
        conditions: Tree[Condition] = ANYTHING,
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
        """Not deleted drafts past their expire_time, of models that are not deleted."""

    def in_stages(self, project: str, stages: Collection[str], limit: int) -> Sequence[Version]:
        """Not deleted versions anywhere in the project that hold one of these stages."""

    def count_live(self, model_uid: str) -> int:
        """How many versions of the model are not deleted."""

    def purgeable(self, limit: int) -> Sequence[Version]:
        """Those past their purge_time, the longest first; also of deleted models and projects."""

    def by_uid(self, uid: str) -> Version | None:
        """The version in whatever state, also of a deleted model or project; None when it is gone."""

    def delete(self, uid: str) -> None:
        """Remove the version; its model is locked. Its history stays. It has no files any more."""


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

    def of_project(self, project: str, kind: PointerKind | None = None, *, limit: int) -> Sequence[Pointer]:
        """Pointers with a target in the models of the project that are not deleted themselves."""

    def in_project(
        self, project: str, model: str, *, after: tuple[str, str, str] | None, limit: int
    ) -> Sequence[Pointer]:
        """Pointers of live models of the project (of one, unless `model` is empty) that have a target.

        By (model, kind, id).
        """

    def snapshot(self, *, after: tuple[str, str, str], limit: int) -> Sequence[Pointer]:
        """Pointers of live models that have a target, by (model uid, kind, id): the projection's start."""


class History(Protocol):
    """Stage history, append only."""

    def append(self, assignment: Assignment) -> None:
        """Add a row; (model, revision, index) is unique."""

    def list(self, model_uid: str, stage: str, *, before: tuple[int, int] | None, limit: int) -> Sequence[Assignment]:
        """Arrivals at `stage` (empty: all rows), newest first; `before` is (revision, index), exclusive."""

    def of_version(self, version_uid: str, limit: int) -> Sequence[Assignment]:
        """Where one version went, newest first."""

    def pointer_as_of(self, model_uid: str, stage: str, time: datetime) -> tuple[Assignment | None, bool]:
        """The arrival that made the stage's pointer what it was at `time`, and whether it still stood then.

        None, False when nothing had arrived. False with a row when the stage was vacant at `time`.
        """


class Feed(Protocol):
    """The event log."""

    def head(self) -> int:
        """The newest committed revision; 0 before the first."""

    def oldest(self) -> int:
        """The oldest revision whose events are kept; the next one to come when none is."""

    def epoch(self) -> int:
        """Rises when the database is restored from a backup."""

    def compact(self, before: datetime, limit: int, upto: int | None = None) -> int:
        """Drop the events of up to `limit` of the oldest revisions, committed before that time; none above `upto`.

        Returns how many. Neither revision nor audit entry goes with them. The newest revision stays.
        """

    def after(self, revision: int, limit: int) -> Sequence[Event]:
        """Events above `revision` in (revision, index) order: whole revisions, at least one, about `limit` events."""

    def at(self, revision: int) -> Sequence[Event]:
        """All events of one revision in order; none when they were compacted, or there was no such revision."""
