"""Resolve and GetStage on the hot path: from the projection, on the loop, with the reply made beforehand.

The database is asked when the projection does not know, is too old, or cannot answer the question; when it is gone,
the last answer known is given and says that it is stale.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.names import ModelName
from registry_grpc.services.codec.artifacts import artifact_to_wire
from registry_grpc.services.codec.pointers import (
    pointer_to_resolve_response,
    target_to_resolve_response,
    unchanged_resolve_response,
)
from registry_grpc.services.codec.times import time_from_wire
from registry_grpc.services.context import call_context
from registry_grpc.services.edge import MAX_WAIT_S, WAIT_SHARE
from registry_grpc.usecases.resolve import Selector, SelectorKind
from registry_grpc.v1 import stages_pb2

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from registry_grpc.domain.pointers import Pointer
    from registry_grpc.services.consumption import Consumption
    from registry_grpc.services.edge import Edge
    from registry_grpc.usecases.resolve import Resolution, Resolve
    from registry_grpc.watch.projection import Entry, Projection

    Find = Callable[[], Entry[bytes] | None]
    Gate = Callable[[], bool]

STALE = stages_pb2.ResolveResponse(stale=True).SerializeToString()
"""Appended to a reply it sets `stale`: concatenated messages merge. Source: protobuf encoding, last one wins."""
_KINDS = {
    "stage": SelectorKind.STAGE,
    "alias": SelectorKind.ALIAS,
    "version": SelectorKind.NUMBER,
    "manifest_digest": SelectorKind.DIGEST,
    "reference": SelectorKind.REFERENCE,
}


_AWAY = {Reason.DATABASE_UNAVAILABLE, Reason.RATE_LIMITED}
"""The database did not answer, or so many wait for it that it could not be asked."""


class ResolveObserver(Protocol):
    """Counts answers."""

    def resolved(self, source: str, result: str) -> None:
        """`source` is cache or db; `result` ok, not_found or error."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Answers ResolveRequests with serialised ResolveResponses."""

    edge: Edge
    projection: Projection[bytes]
    resolve: Resolve
    max_age: timedelta
    observer: ResolveObserver
    consumption: Consumption

    def shortcut(
        self, request: stages_pb2.ResolveRequest, principal: str
    ) -> Callable[[Gate | None], tuple[bytes, int] | None] | None:
        """Answers `request` of `principal` from the projection as often as asked.

        None for what only the database can answer. The answer is None whenever `answer` would have to wait, or the gate
        that it is given is closed.
        """
        find = self._finder(request)
        if find is None:
            return None
        return partial(self._from_memory, find, request.min_revision, request.if_changed_since, principal)

    async def answer(self, request: stages_pb2.ResolveRequest) -> bytes:
        """The reply.

        Raises: MODEL_NOT_FOUND, STAGE_VACANT, …, REVISION_UNKNOWN, DATABASE_UNAVAILABLE when nothing is known.
        """
        context = call_context()
        wanted = request.min_revision or context.min_revision
        find = self._finder(request)
        if wanted > self.edge.feed.revision:
            entry = find() if find else None
            if entry is None or wanted > entry.revision:
                await self.edge.require_revision(wanted)
        known = self._from_memory(find, wanted, request.if_changed_since, context.principal.name) if find else None
        if known is not None:
            reply, context.revision = known
            return reply
        return await self._from_database(request, wanted)

    def _from_memory(
        self, find: Find, wanted: int, since: int, principal: str, gate: Gate | None = None
    ) -> tuple[bytes, int] | None:
        """The reply and its revision, counted; None when there is none, or it is older than allowed or than `wanted`.

        `since` is the revision of the pointer that the caller has: while it is still that, the reply says only so.
        None too when `gate` is closed: what is refused was not read, and makes nobody a consumer.
        """
        # In this order: a commit of another thread may come in between, and its revision must not be told of what it
        # changed.
        complete = self.edge.feed.fresh_revision()
        entry = find()
        if entry is None or entry.reply is None or complete is None:
            return None
        # What the entry tells may be younger than what the feed has read to the end.
        revision = max(complete, entry.revision)
        if wanted > revision or since > revision:
            return None
        if gate is not None and not gate():
            return None
        self.observer.resolved("cache", "ok")
        target = entry.pointer.target
        if target is not None:
            # Also when the caller has it already: it asked, and goes on with it.
            self.consumption.resolved(principal, target.uid)
        return (_unchanged(since) if since and since == entry.pointer.revision else entry.reply), revision

    def _entry(self, request: stages_pb2.ResolveRequest) -> Entry[bytes] | None:
        """What the projection knows; None for questions only the database can answer."""
        find = self._finder(request)
        return None if find is None else find()

    def _finder(self, request: stages_pb2.ResolveRequest) -> Find | None:
        """Looks up what `request` selects; None for questions only the database can answer."""
        if request.view == stages_pb2.RESOLVE_VIEW_FULL or request.HasField("as_of"):
            return None
        field = request.WhichOneof("selector")
        name, selected = request.name, getattr(request, field) if field else ""
        stage, alias = self.projection.stage, self.projection.alias

        def either() -> Entry[bytes] | None:
            # A stage wins. No alias has the name of a stage.
            entry = stage(name, selected)
            return entry if entry is not None and entry.reply is not None else alias(name, selected)

        match field:
            case "stage":
                return partial(stage, name, selected)
            case "alias":
                return partial(alias, name, selected)
            case "reference":
                return either
        return None

    async def _from_database(self, request: stages_pb2.ResolveRequest, wanted: int) -> bytes:
        selector = _selector(request)
        as_of = time_from_wire(request.as_of, "as_of") if request.HasField("as_of") else None
        if as_of is not None and selector.kind not in {SelectorKind.STAGE, SelectorKind.REFERENCE}:
            raise invalid_field("as_of", "only a stage has a history; select by stage, or leave as_of out")
        name = ModelName.parse(request.name)
        full = request.view == stages_pb2.RESOLVE_VIEW_FULL
        try:
            async with asyncio.timeout(self._patience_s(request)):
                found = await self.edge.control.run(lambda: self.resolve(name, selector, as_of=as_of, full=full))
        except TimeoutError:
            return self._last_known(request, wanted, _silent())
        except RegistryError as error:
            if error.reason in _AWAY:
                return self._last_known(request, wanted, error)
            self.observer.resolved("db", "not_found")
            raise
        self.observer.resolved("db", "ok")
        if as_of is None:
            self.consumption.resolved(call_context().principal.name, found.target.uid)
        call_context().revision = found.revision
        # Not "or younger": what the caller has may be lost, or a version that was deleted since.
        if as_of is None and 0 < found.pointer_revision == request.if_changed_since:
            return _unchanged(found.pointer_revision)
        return self._encode(found)

    def _patience_s(self, request: stages_pb2.ResolveRequest) -> float | None:
        """How long the database gets before the last known answer is given; None when there is none."""
        entry = self._entry(request)
        if entry is None or entry.reply is None:
            return None
        return min(MAX_WAIT_S, WAIT_SHARE * call_context().remaining_s)

    def _last_known(self, request: stages_pb2.ResolveRequest, wanted: int, error: RegistryError) -> bytes:
        revision = self.edge.feed.revision
        entry = self._entry(request)
        if entry is None or entry.reply is None or wanted > revision:
            self.observer.resolved("cache", "error")
            raise error
        self.observer.resolved("cache", "ok")
        if entry.pointer.target is not None:
            self.consumption.resolved(call_context().principal.name, entry.pointer.target.uid)
        call_context().revision = revision
        # What the caller has may be younger than this; without the database nobody knows better.
        is_known = 0 < entry.pointer.revision <= request.if_changed_since
        return (_unchanged(entry.pointer.revision) if is_known else entry.reply) + STALE

    def _encode(self, found: Resolution) -> bytes:
        return target_to_resolve_response(
            found.target,
            pointer_revision=found.pointer_revision,
            assign_time=found.assign_time,
            max_age=self.max_age,
            artifacts=[artifact_to_wire(artifact) for artifact in found.artifacts],
        ).SerializeToString()


def reply_of(pointer: Pointer, max_age: timedelta) -> bytes:
    """The reply the projection keeps for a pointer that has a target."""
    return pointer_to_resolve_response(pointer, max_age=max_age).SerializeToString()


def _silent() -> RegistryError:
    return RegistryError(Reason.DATABASE_UNAVAILABLE, "the database does not answer; try again")


def _unchanged(revision: int) -> bytes:
    return unchanged_resolve_response(revision).SerializeToString()


def _selector(request: stages_pb2.ResolveRequest) -> Selector:
    field = request.WhichOneof("selector")
    if field is None:
        raise invalid_field("selector", "set one of stage, alias, version, manifest_digest, reference")
    kind = _KINDS[field]
    if kind is SelectorKind.NUMBER:
        if request.version < 1:
            raise invalid_field("version", f"{request.version} is no version number; they begin at 1")
        return Selector(kind, number=request.version)
    return Selector(kind, text=getattr(request, field))
