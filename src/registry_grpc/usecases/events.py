"""Reading the event log: whole revisions in order, where a reader may go on, and the state it begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from registry_grpc.domain.artifacts import Artifact
from registry_grpc.domain.deployments import Deployment
from registry_grpc.domain.errors import Reason, RegistryError, unknown_revision
from registry_grpc.domain.evidence import Evidence, ModelSignature
from registry_grpc.domain.names import ModelName
from registry_grpc.domain.pointers import Pointer, PointerKind
from registry_grpc.domain.policies import Policy
from registry_grpc.domain.promotion import PromotionRequest
from registry_grpc.domain.resources import Model, Project, Version
from registry_grpc.domain.resumption import NO_PRINT, Position, fingerprint_of
from registry_grpc.usecases.checks import require_live_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from registry_grpc.domain.events import Event, Resource
    from registry_grpc.ports.store import Reader, Store, Unit

T = TypeVar("T")
PAGE = 1000
MAX_STATE = 100_000
"""Most resources a watch may begin with: they are held in memory until they are sent."""


class Page(NamedTuple):
    """Part of the log."""

    events: Sequence[Event]
    """Whole revisions."""
    revision: int
    """It is complete up to here."""
    head: int


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """Events above a revision."""

    store: Store

    def __call__(self, after: int, limit: int = PAGE) -> Page:
        """At least one whole revision when there is one.

        Raises: REVISION_COMPACTED, DATABASE_UNAVAILABLE.
        """

        def work(reader: Reader) -> Page:
            require_kept(reader, after)
            head = reader.feed.head()
            events = reader.feed.after(after, limit) if head > after else ()
            return Page(events, events[-1].revision if events else head, head)

        return self.store.read(work, snapshot=True)


@dataclass(frozen=True, slots=True)
class CompactEvents:
    """Forgets events that are older than what is kept and in line for every webhook. The audit trail is not touched."""

    store: Store
    keep: timedelta

    def __call__(self) -> int:
        """How many revisions went; at most `PAGE` of them at a time.

        Raises: DATABASE_UNAVAILABLE.
        """

        def work(unit: Unit) -> int:
            return unit.feed.compact(unit.now - self.keep, PAGE, unit.webhooks.oldest_cursor())

        return self.store.write(work).get()


@dataclass(frozen=True, slots=True)
class FindPosition:
    """Where a token, or a revision, stands in this log."""

    store: Store

    def __call__(self, token: str, after_revision: int) -> Position:
        """The position to go on behind.

        Raises: INVALID_FIELD, HISTORY_CHANGED, REVISION_COMPACTED, REVISION_UNKNOWN.
        """
        given = Position.parse(token) if token else None
        return self.store.read(lambda reader: self._find(reader, given, after_revision), snapshot=True)

    def _find(self, reader: Reader, given: Position | None, after_revision: int) -> Position:
        uid, epoch, head = self.store.registry_uid, reader.feed.epoch(), reader.feed.head()
        if given is None:
            if after_revision > head:
                raise unknown_revision(after_revision, head, uid, "after_revision")
            require_kept(reader, after_revision)
            return Position(uid, epoch, after_revision)
        if (given.registry_uid, given.epoch) != (uid, epoch) or given.revision > head:
            raise history_changed()
        is_kept = given.revision >= reader.feed.oldest() and given.fingerprint != NO_PRINT
        if is_kept and fingerprint_of(reader.feed.at(given.revision)) != given.fingerprint:
            raise history_changed()
        require_kept(reader, given.revision)
        return given


@dataclass(frozen=True, slots=True)
class ReadState:
    """The present state of a project, of a model, or of every project."""

    store: Store

    def __call__(self, project: str, model: str, kinds: frozenset[str]) -> tuple[Position, Sequence[Resource]]:
        """Resources of these kinds, all as they were at the position.

        Raises: PROJECT_NOT_FOUND, MODEL_NOT_FOUND, QUOTA_EXCEEDED when there are more than `MAX_STATE`.
        """
        return self.store.read(lambda reader: self._read(reader, project, model, kinds), snapshot=True)

    def _read(
        self, reader: Reader, project: str, model: str, kinds: frozenset[str]
    ) -> tuple[Position, Sequence[Resource]]:
        head = reader.feed.head()
        events = reader.feed.at(head)
        position = Position(
            self.store.registry_uid, reader.feed.epoch(), head, fingerprint_of(events) if events else NO_PRINT
        )
        found: list[Resource] = []
        for each in _state(reader, project, model, kinds):
            found.append(each)
            if len(found) > MAX_STATE:
                raise RegistryError(
                    Reason.QUOTA_EXCEEDED,
                    f"the state has more than {MAX_STATE} resources; watch one project or model, or fewer types",
                    limit=MAX_STATE,
                )
        return position, found


def _state(reader: Reader, project: str, model: str, kinds: frozenset[str]) -> Iterator[Resource]:
    """Parents before what lies in them."""
    if model:
        name = ModelName(project, model)
        found = require_live_model(reader.models.get(name))
        if "Model" in kinds:
            yield found
        if "ModelVersion" in kinds:
            yield from _paged(
                lambda last: reader.versions.list(
                    found.uid, after=last.name.number if last else 0, limit=PAGE, descending=False
                )
            )
    for each in _projects(reader, project):
        place = each.name.project
        if "Project" in kinds and not model:
            yield each
        if "Model" in kinds and not model:
            yield from _models(reader, place)
        if kinds & {"Stage", "Alias"}:
            yield from (one for one in _pointers(reader, place, model) if kind_of(one) in kinds)
        if "Deployment" in kinds:
            yield from _deployments(reader, place, model)


def _models(reader: Reader, project: str) -> Iterator[Model]:
    def read(last: Model | None) -> Sequence[Model]:
        return reader.models.list(project, after=last.name.model if last else "", limit=PAGE)

    return _paged(read)


def _pointers(reader: Reader, project: str, model: str) -> Iterator[Pointer]:
    def read(last: Pointer | None) -> Sequence[Pointer]:
        after = (last.model.model, str(last.kind), last.id) if last else None
        return reader.pointers.in_project(project, model, after=after, limit=PAGE)

    return _paged(read)


def _deployments(reader: Reader, project: str, model: str) -> Iterator[Deployment]:
    """Those that are not retired."""

    def read(last: Deployment | None) -> Sequence[Deployment]:
        return reader.deployments.present(project, model, after=last.name.deployment if last else "", limit=PAGE)

    return _paged(read)


def _projects(reader: Reader, project: str) -> Iterator[Project]:
    if project:
        yield reader.projects.get(project)
        return
    yield from _paged(lambda last: reader.projects.list(after=last.name.project if last else "", limit=PAGE))


def _paged(read: Callable[[T | None], Sequence[T]]) -> Iterator[T]:
    last: T | None = None
    while True:
        page = read(last)
        yield from page
        if len(page) < PAGE:
            return
        last = page[-1]


def kind_of(resource: Resource) -> str:
    """The type as the contract names it; empty for what no watch shows."""
    match resource:
        case Pointer():
            return "Stage" if resource.kind is PointerKind.STAGE else "Alias"
        case Version():
            return "ModelVersion"
        case Project() | Model() | Artifact() | Deployment() | Policy() | PromotionRequest():
            return type(resource).__name__
        case Evidence() | ModelSignature():
            return type(resource).__name__
    return ""


def require_kept(reader: Reader, after: int) -> None:
    """Refuse to go on behind a revision whose successors are gone.

    Raises: REVISION_COMPACTED.
    """
    oldest = reader.feed.oldest()
    if after < oldest - 1:
        raise RegistryError(
            Reason.REVISION_COMPACTED,
            f"events behind revision {after} are gone, the oldest kept is {oldest}; begin with send_initial_state",
            requestedRevision=after,
            oldestRevision=oldest,
            currentRevision=reader.feed.head(),
        )


def history_changed() -> RegistryError:
    """The error for a token of another history."""
    return RegistryError(
        Reason.HISTORY_CHANGED,
        "the database was rewound or replaced since this token was given; begin with send_initial_state",
    )
