"""What a watch wants, what its caller may see, and the messages that makes of a revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.domain.events import place_of
from registry_grpc.services.codec.events import watch_message
from registry_grpc.services.context import call_context
from registry_grpc.usecases.events import kind_of
from registry_grpc.v1 import events_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry_grpc.domain.events import Resource

MESSAGE_BYTES = 256 * 1024
"""A message above this is sent in parts."""
PERMISSION = "events.watch"


class Wish(NamedTuple):
    """What a watch wants to see."""

    project: str
    """Empty for all that the caller may see."""
    model: str
    kinds: frozenset[str]
    stages: frozenset[str]

    def wants(self, resource: Resource) -> bool:
        """Whether it is one of these."""
        kind = kind_of(resource)
        if kind not in self.kinds:
            return False
        project, model = place_of(resource)
        if self.project not in {"", project} or self.model not in {"", model}:
            return False
        return kind != "Stage" or not self.stages or getattr(resource, "id", "") in self.stages


class Encoded(NamedTuple):
    """A revision made ready to be sent, for all watches."""

    head: bytes
    """WatchResponse without its events."""
    events: tuple[tuple[Resource, bytes], ...]
    token: str
    time: float
    """When it was committed, seconds since the epoch."""
    moves_stage: bool
    """Whether it says something of a stage."""


def messages_of(encoded: Encoded, wish: Wish) -> Iterator[bytes]:
    """What a watch gets of one revision: one message, or several when it is large; none when it wants nothing of it."""
    part: list[bytes] = []
    size = 0
    for resource, data in encoded.events:
        if not (wish.wants(resource) and visible(resource)):
            continue
        if part and size + len(data) > MESSAGE_BYTES:
            # Without a token: a watch goes on behind whole revisions only.
            yield watch_message(_partial(encoded), part)
            part, size = [], 0
        part.append(data)
        size += len(data)
    if part:
        yield watch_message(encoded.head, part)


def _partial(encoded: Encoded) -> bytes:
    message = events_pb2.WatchResponse.FromString(encoded.head)
    message.partial = True
    message.ClearField("resume_token")
    return message.SerializeToString()


def visible(resource: Resource) -> bool:
    """Whether the caller may see it, as things are now."""
    project, model = place_of(resource)
    return call_context().rights.find(PERMISSION, project, model) is not None
