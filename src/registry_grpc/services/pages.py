"""One page of a list: from the request's size and token to the reply's items and next token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from registry_grpc.services.context import call_context
from registry_grpc.services.paging import MAX_PAGE_SIZE, page_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from registry_grpc.services.paging import Key, PageTokens, Query

T = TypeVar("T")
M = TypeVar("M", bound="Message | bytes")
MAX_PAGE_BYTES = 7 << 19
"""A single item may be larger. gRPC's default limit for a message is 4 MiB, and a reply has more than its items."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page a request asks for."""

    after: tuple[Key, ...] | None
    """Sort key of the last item of the page before; None for the first page."""
    _size: int
    _query: Callable[[], Query]
    """Made when a token is to be read or written: most lists fit one page."""

    @property
    def limit(self) -> int:
        """How many items to read: one more than the page holds, which tells whether there is a next one."""
        return self._size + 1

    def close(
        self, found: Sequence[T], key: Callable[[T], tuple[Key, ...]], to_wire: Callable[[T], M | None]
    ) -> tuple[list[M], str]:
        """The messages of the page, serialised or not, and the token of the next one; empty at the end.

        What `to_wire` makes None is left out. A page of large items ends early, so that it is no message too large.
        """
        messages: list[M] = []
        left = MAX_PAGE_BYTES
        for at, item in enumerate(found[: self._size]):
            message = to_wire(item)
            if message is None:
                continue
            left -= len(message) if isinstance(message, bytes) else message.ByteSize()
            if left < 0 and messages:
                return messages, self._query().token(*key(found[at - 1]))
            messages.append(message)
        if len(found) <= self._size:
            return messages, ""
        return messages, self._query().token(*key(found[self._size - 1]))


@dataclass(frozen=True, slots=True)
class Pages:
    """Opens pages."""

    tokens: PageTokens

    def open(self, request: Message, most: int = MAX_PAGE_SIZE) -> Page:
        """The page of a list request, `most` items; its token is bound to the caller, the method and every other field.

        Raises: INVALID_PAGE_TOKEN, INVALID_FIELD for a negative size.
        """
        context = call_context()

        def query() -> Query:
            asked = type(request)()
            asked.CopyFrom(request)
            asked.ClearField("page_size")
            asked.ClearField("page_token")
            asked.DiscardUnknownFields()
            text = asked.SerializeToString(deterministic=True).hex()
            return self.tokens.query(context.principal.name, context.method, text)

        token: str = request.page_token  # type: ignore[attr-defined]
        size = page_size(request.page_size, most)  # type: ignore[attr-defined]
        return Page(query().after(token) if token else None, size, query)
