"""What every servicer shares: running blocking use cases off the loop, mutations with their replay, fresh reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from registry_grpc.domain.calls import Call
from registry_grpc.domain.errors import Reason, RegistryError, unknown_revision
from registry_grpc.services.context import call_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message
    from grpc.aio import ServicerContext

    from registry_grpc.domain.calls import Committed
    from registry_grpc.ports.store import Store
    from registry_grpc.watch.feed import ChangeFeed

    M = TypeVar("M", bound=Message)
    Context = ServicerContext[Any, Any]
    """What grpc hands a method; everything worth knowing is in `call_context()`."""

T = TypeVar("T")
MAX_WAIT_S = 2.0
"""Longest wait for a wished revision."""
WAIT_SHARE = 0.8
"""Part of the time a caller has left that may be waited."""


class Pool(Protocol):
    """A bounded pool of threads."""

    @property
    def threads(self) -> int:
        """How many functions it runs at once."""

    async def run(self, function: Callable[..., T], *args: Any) -> T:  # noqa: ANN401 - whatever the function takes
        """What `function(*args)` returns, run in a thread."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The way from a servicer into the core."""

    control: Pool
    feed: ChangeFeed
    store: Store

    async def read(self, use_case: Callable[[], T]) -> T:
        """Run a use case that only reads, at least as fresh as the caller asked for.

        Raises: REVISION_UNKNOWN, and what the use case raises.
        """
        context = call_context()
        if context.min_revision > self.feed.revision:
            await self.require_revision(context.min_revision)
        context.revision = self.feed.revision
        return await self.control.run(use_case)

    async def require_revision(self, wanted: int) -> None:
        """Return once this replica has read up to `wanted`, or the database alone is there and has to be asked.

        Raises: REVISION_UNKNOWN, DATABASE_UNAVAILABLE.
        """
        await self.require_known(wanted)
        # Not to the very deadline: the database has to be asked still.
        await self.feed.wait_for(wanted, min(MAX_WAIT_S, WAIT_SHARE * call_context().remaining_s))

    async def require_known(self, wanted: int) -> None:
        """Return when there is such a revision, whether this replica has read it or not.

        Raises: REVISION_UNKNOWN, DATABASE_UNAVAILABLE.
        """
        # Nobody is told of a revision before it is committed: one above the head is of another registry, or of what
        # this one was before it was put back to an older state. No waiting brings it.
        head = await self.control.run(self.store.read, lambda reader: reader.feed.head())
        if head < wanted:
            raise unknown_revision(wanted, head, self.store.registry_uid)

    async def mutate(
        self,
        request: Message,
        use_case: Callable[[Call[T]], Committed[T]],
        to_wire: Callable[[T], M],
        *,
        secret: bytes = b"",
    ) -> M:
        """Run a use case that changes something; a replay answers the bytes of the first answer.

        `secret` is appended to the first answer and kept nowhere: concatenated messages merge.
        """
        context = call_context()
        encoded: list[tuple[T, bytes]] = []

        def encode(value: T) -> bytes:
            encoded.append((value, to_wire(value).SerializeToString()))
            return encoded[-1][1]

        call: Call[T] = Call(
            principal=context.principal,
            method=context.method,
            request_id=getattr(request, "request_id", "").lower(),
            body_hash=body_hash(request),
            validate_only=getattr(request, "validate_only", False),
            grant=context.grant,
            peer=context.peer(),
            encode=encode,
        )
        committed = await self.control.run(use_case, call)
        # What changed nothing, or only checked, was read at what this replica knows.
        context.revision = committed.revision or self.feed.revision
        answer = committed.replay
        if answer is None and encoded and encoded[-1][0] is committed.value:  # else of an attempt that was undone
            answer = encoded[-1][1]
        if answer is not None:
            # The serializer takes bytes as they are: the very answer that a repeated call gets.
            return answer if committed.replay is not None else answer + secret  # type: ignore[return-value]
        made = to_wire(committed.get())
        return made.SerializeToString() + secret if secret and not call.validate_only else made  # type: ignore[return-value]


def body_hash(request: Message) -> bytes:
    """SHA-256 of a request without its request_id and without fields this program does not know."""
    if not getattr(request, "request_id", ""):
        return b""
    body = type(request)()
    body.CopyFrom(request)
    body.ClearField("request_id")
    body.DiscardUnknownFields()
    return hashlib.sha256(body.SerializeToString(deterministic=True)).digest()


def refuse_filter(text: str) -> None:
    """Refuse a filter on what has no fields to filter by.

    Raises: FEATURE_DISABLED.
    """
    if text:
        raise RegistryError(
            Reason.FEATURE_DISABLED,
            "filter is not available on this server; leave it empty",
            feature="filter",
        )


def descending(order_by: str, key: str, *, default: bool = False) -> bool:
    """Whether a list is to be read backwards; `key` is the one field it can be ordered by.

    Raises: INVALID_ORDER_BY.
    """
    if not order_by:
        return default
    words = order_by.split()
    if words not in ([key], [key, "asc"], [key, "desc"]):
        shown = order_by if len(order_by) <= 100 else order_by[:100] + "…"  # noqa: PLR2004 - enough to recognise it
        raise RegistryError(
            Reason.INVALID_ORDER_BY,
            f"order_by {shown!r} is not {key!r} or '{key} desc'",
            field=shown,
        )
    return words[-1] == "desc"
