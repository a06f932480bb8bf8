"""What a write changed, as the audit trail tells it: before and after of each field, and digests of the whole.

What was before is what the repositories of the transaction read: nothing is asked of the database for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_json

from registry_grpc.domain.audit import MAX_CHANGES_BYTES
from registry_grpc.domain.events import Action
from registry_grpc.domain.identity import Token
from registry_grpc.storage.sql.documents import RESOURCES, resource_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry_grpc.domain.events import Event

MAX_EVENTS = 100
"""Of a write with more only their number is told."""
_KINDS = tuple(kind for kind, _ in RESOURCES.values())
_SILENT = frozenset({"revision", "stage_revision", "update_time"})
"""Fields that the entry says itself."""
_TOLD = {
    kind: tuple(field.name for field in fields(kind) if field.name not in codec.without | _SILENT)
    for kind, codec in RESOURCES.values()
}
"""Fields of each kind of resource that are told; no secret is among them."""


class Changed(NamedTuple):
    """What an audit entry says of a write."""

    before: bytes
    """SHA-256 of the documents of the resources as they were, in the order of their events; empty without any."""
    changes: str


class Seeing:
    """A repository whose answers are remembered: the first one about a resource is how it was before this write."""

    __slots__ = ("_repository", "_seen")

    def __init__(self, repository: object, seen: list[object]) -> None:
        """What `repository` gives is appended to `seen`."""
        self._repository = repository
        self._seen = seen

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the repository has
        found = getattr(self._repository, name)
        if not callable(found):
            return Seeing(found, self._seen)
        return self._noting(found)

    def _noting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        seen = self._seen

        def call(*args: Any, **values: Any) -> Any:  # noqa: ANN401 - as the method
            answer = method(*args, **values)
            if isinstance(answer, _KINDS):
                seen.append(answer)
            elif type(answer) is list:
                seen.extend(each for each in answer if isinstance(each, _KINDS))
            return answer

        return call


def changed(events: Sequence[Event], seen: Sequence[object]) -> Changed:
    """What `events` changed, given what was read before them."""
    if not events:
        return Changed(b"", "")
    known = {_identity(each): each for each in reversed(seen)}
    digest, is_any, told = hashlib.sha256(), False, []
    for event in events:
        identity = _identity(event.after)
        before = known.get(identity)
        known[identity] = event.after
        if before is not None:
            digest.update(_document(before))
            is_any = True
        if len(events) <= MAX_EVENTS:
            told.append(_told(event, before))
    return Changed(digest.digest() if is_any else b"", _bounded(told, events))


def _told(event: Event, before: object | None) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    if event.action is not Action.PURGED:
        for field in _TOLD[type(event.after)]:
            now = getattr(event.after, field)
            if before is None:
                # What is gone with nothing read of it, links that are taken back, was as the event says.
                if now:
                    found.append({"field": field, "before" if event.action is Action.DELETED else "after": now})
                continue
            was = getattr(before, field)
            if was != now:
                found.append({"field": field, "before": was, "after": now})
    return {"resource": _name(event.after), "action": str(event.action), "fields": found}


def _bounded(told: Sequence[dict[str, Any]], events: Sequence[Event]) -> str:
    """As JSON; only digests of what is too long, and only the number of what is too many."""
    if told:
        text = _json(told)
        if len(text) <= MAX_CHANGES_BYTES:
            return text.decode()
        short = [
            {
                "resource": one["resource"],
                "action": one["action"],
                "fields": [{"field": field["field"], **_digests(field)} for field in one["fields"]],
            }
            for one in told
        ]
        text = _json(short)
        if len(text) <= MAX_CHANGES_BYTES:
            return text.decode()
    return _json([{"omitted": len(events)}]).decode()


def _digests(field: dict[str, Any]) -> dict[str, str]:
    sides = [side for side in ("before", "after") if side in field]
    return {f"{side}_sha256": hashlib.sha256(_json(field[side])).hexdigest() for side in sides}


def _json(value: object) -> bytes:
    return to_json(value, inf_nan_mode="strings", bytes_mode="base64")


def _document(resource: object) -> bytes:
    return RESOURCES[resource_type(resource)][1].encode(resource).encode()


def _name(resource: Any) -> str:  # noqa: ANN401 - any resource
    return f"tokens/{resource.id}" if isinstance(resource, Token) else str(resource.name)


def _identity(resource: object) -> tuple[type, str]:
    return type(resource), _name(resource)
