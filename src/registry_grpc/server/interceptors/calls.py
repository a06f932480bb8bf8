"""One call from its first byte to its outcome. Only this file ends a call with an error.

Nothing here may fail for a reason of its own: what escapes from here reaches the client verbatim.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable
from itertools import count
from typing import Any, NoReturn

import grpc
from grpc.aio import AbortError

from registry_grpc.auth.authenticator import Authenticator, authorization_of
from registry_grpc.domain.calls import Principal
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.observability.access_log import Who
from registry_grpc.observability.recorder import Recorder
from registry_grpc.observability.rpc_metrics import CODE_NAMES
from registry_grpc.server.interceptors.methods import Method, code_of
from registry_grpc.services import context as contexts
from registry_grpc.services.context import CallContext
from registry_grpc.services.errors import refusal_of

DEFAULT_UNARY_S = 30.0
MAX_UNARY_S = 60.0
MAX_STREAM_S = 12 * 3600.0
ANONYMOUS = Principal("anonymous")
_OK = grpc.StatusCode.OK
_LOG = logging.getLogger("registry_grpc.calls")
_ID_CHARS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._:-")
_MAX_ID = 64


class Desk:
    """What all calls of a process share."""

    def __init__(
        self, authenticator: Authenticator, recorder: Recorder, *, max_in_flight: int, max_per_principal: int
    ) -> None:
        """`max_in_flight` is a fuse for memory, not a quota; `max_per_principal` keeps one from taking all of them."""
        self.authenticator = authenticator
        self.recorder = recorder
        self.max_in_flight = max_in_flight
        self.max_per_principal = max_per_principal
        self.in_flight = 0
        self._held: dict[str, int] = {}
        self._prefix = secrets.token_hex(6)
        self._ids = count(1)

    def request_id(self) -> str:
        """A new id, unique to this process and unlikely to meet another's."""
        return self._prefix + str(next(self._ids))

    def admit(self, principal: str) -> None:
        """Let one more call of a caller who was proven in; `leave` when it ends.

        Raises: RATE_LIMITED.
        """
        held = self._held.get(principal, 0)
        if held >= self.max_per_principal:
            raise RegistryError(
                Reason.RATE_LIMITED,
                f"you have {held} calls open at this server, which is the most one principal may; wait for some to end",
                retry_after_s=1,
            )
        self._held[principal] = held + 1

    def leave(self, principal: str) -> None:
        """One call less. Principals without any are forgotten."""
        held = self._held[principal] - 1
        if held:
            self._held[principal] = held
        else:
            del self._held[principal]


class Call:
    """One call. `enter` it, then exactly one of `succeed` and `fail`."""

    __slots__ = ("_admitted", "_began", "_context", "_desk", "_info", "_method", "_values", "deadline_s")

    def __init__(self, desk: Desk, method: Method, context: Any) -> None:  # noqa: ANN401 - grpc's context has no usable type
        self._admitted = False
        self._began = began = time.monotonic()
        self._desk = desk
        self._method = method
        self._context = context
        meter = method.meter
        desk.in_flight += 1
        meter.in_flight += 1
        meter.started += 1
        if method.streams:
            # A stream shows as soon as it began; a unary call when it ends, which is at once.
            desk.recorder.touch()
        self._values, request_id, min_revision = _read(context.invocation_metadata() or ())
        remaining = context.time_remaining()
        self.deadline_s = cap = _deadline(remaining, streams=method.streams)
        """Seconds we must end the call after; None when the transport does it."""
        self._info = CallContext(
            method.name,
            request_id or desk.request_id(),
            ANONYMOUS,
            began + (cap if cap is not None else remaining or 0.0),
            min_revision,
        )

    async def enter(self) -> None:
        """Limits, then the caller, then the context for the servicer.

        Raises: RATE_LIMITED, and what the authenticator raises.
        """
        desk, info = self._desk, self._info
        contexts.enter(info)
        if self._method.public:
            return
        if desk.in_flight > desk.max_in_flight:
            raise RegistryError(
                Reason.RATE_LIMITED,
                "this server has too many calls open; retry later",
                retry_after_s=1,
            )
        proof = desk.authenticator.cached(self._values)
        principal = proof.principal if proof else await desk.authenticator.authenticate(self._values)
        info.principal = principal
        desk.admit(principal.name)
        self._admitted = True

    def succeed(self) -> None:
        """The servicer answered, and the answer could be encoded."""
        if self._info.revision:
            # No request id here: a header that is never the same twice costs an eighth of the throughput.
            self._context.set_trailing_metadata(revision_trailer(self._info.revision))
        self._end(_OK, "")

    async def fail(self, error: BaseException) -> NoReturn:
        """End the call with the status for `error`. Always raises."""
        context = self._context
        if isinstance(error, AbortError):
            self._end(code_of(context), "")
            raise error
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)) or _is_gone(context):
            self._end(self._ended_by_caller(), "")
            raise error
        if isinstance(error, TimeoutError) and self.deadline_s is not None:
            self._end(grpc.StatusCode.DEADLINE_EXCEEDED, "")
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"the call took longer than the {self.deadline_s:g} s this server allows",
                self._trailing(),
            )
        if not isinstance(error, Exception):
            self._end(grpc.StatusCode.INTERNAL, "")
            raise error
        await self._refuse(error)

    async def _refuse(self, error: Exception) -> NoReturn:
        info = self._info
        reason = error.reason if isinstance(error, RegistryError) else Reason.INTERNAL
        if reason is Reason.INTERNAL:
            _LOG.error(
                "call failed",
                exc_info=error,
                extra={"request_id": info.request_id, "method": self._method.name},
            )
        status = refusal_of(error, info.request_id)
        self._end(status.code, reason.value)
        await self._context.abort(status.code, status.details, (*status.trailing_metadata, *self._trailing()))
        raise AssertionError  # abort always raises

    def _ended_by_caller(self) -> grpc.StatusCode:
        remaining = self._context.time_remaining()
        late = remaining is not None and remaining <= 0
        return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED

    def _trailing(self) -> tuple[tuple[str, str], ...]:
        """What goes with an error: whoever reports it needs the id."""
        info = self._info
        return (*revision_trailer(info.revision), (contexts.REQUEST_ID_KEY, info.request_id))

    def _end(self, code: grpc.StatusCode, reason: str) -> None:
        seconds = time.monotonic() - self._began
        method, desk, info = self._method, self._desk, self._info
        meter = method.meter
        desk.in_flight -= 1
        if self._admitted:
            desk.leave(info.principal.name)
        meter.in_flight -= 1
        meter.ended.append((code, seconds))
        desk.recorder.touch()
        if method.quiet and code is _OK:
            return
        desk.recorder.log(Who(method.name, CODE_NAMES[code], info.principal.name), info.request_id, seconds, reason)


def revision_trailer(revision: int) -> tuple[tuple[str, str], ...]:
    """Trailing metadata that tells `revision`; nothing for 0."""
    return ((contexts.REVISION_KEY, str(revision)),) if revision else ()


def _is_gone(context: Any) -> bool:  # noqa: ANN401
    """Whether nobody is there any more; whatever else went wrong then is a consequence."""
    return bool(context.cancelled())


def _deadline(remaining: float | None, *, streams: bool) -> float | None:
    """Seconds after which we end the call ourselves: the caller asked for none, or for too long."""
    if streams:
        return MAX_STREAM_S if remaining is None or remaining > MAX_STREAM_S else None
    if remaining is None:
        return DEFAULT_UNARY_S
    return MAX_UNARY_S if remaining > MAX_UNARY_S else None


def _read(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[list[str], str, int]:
    """Values of `authorization`, a sane request id or none, and the wished revision."""
    authorization: list[str] = []
    request_id, min_revision = "", 0
    for key, value in metadata:
        if key == "authorization":
            authorization += authorization_of(((key, value),))
        elif key == contexts.REQUEST_ID_KEY:
            request_id = _sane_id(value)
        elif key == contexts.MIN_REVISION_KEY:
            min_revision = _number(value)
    return authorization, request_id, min_revision


def _sane_id(value: str | bytes) -> str:
    if isinstance(value, str) and 0 < len(value) <= _MAX_ID and _ID_CHARS.issuperset(value):
        return value
    return ""


def _number(value: str | bytes) -> int:
    """0 for what is no revision: the header is a wish."""
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0  # noqa: PLR2004
