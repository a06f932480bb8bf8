"""One call from its first byte to its outcome. Only this file ends a call with an error.

Nothing here may fail for a reason of its own: what escapes from here reaches the client verbatim.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import grpc
from grpc.aio import AbortError

from registry_grpc.auth.authorization import Target
from registry_grpc.auth.credentials import Credentials
from registry_grpc.auth.permissions import Need, Where
from registry_grpc.domain.audit import bounded
from registry_grpc.domain.calls import Principal
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Occurrence
from registry_grpc.observability.access_log import Who
from registry_grpc.observability.rpc_metrics import CODE_NAMES
from registry_grpc.server.interceptors.certificates import certificate_of
from registry_grpc.server.interceptors.desk import Desk
from registry_grpc.server.interceptors.headers import read_headers
from registry_grpc.server.interceptors.methods import InvalidRequestError, Method, code_of
from registry_grpc.services import context as contexts
from registry_grpc.services.context import CallContext
from registry_grpc.services.errors import CODE_OF, refusal_of

DEFAULT_UNARY_S = 30.0
MAX_UNARY_S = 60.0
MAX_STREAM_S = 12 * 3600.0
ANONYMOUS = Principal("anonymous")
_UNTOLD = frozenset({Reason.RATE_LIMITED, Reason.DRAINING, Reason.DATABASE_UNAVAILABLE})
"""Refusals that say nothing of the change: whoever sends too much would fill the trail with them, and without the
database there is none."""
_OK = grpc.StatusCode.OK
_LOG = logging.getLogger("registry_grpc.calls")


class Call:
    """One call. `enter` it, then exactly one of `succeed` and `fail`."""

    __slots__ = (
        *("_admitted", "_began", "_context", "_desk", "_ended", "_info", "_method"),
        *("_request", "_targets", "_task"),
        *("credentials", "deadline_s", "writing"),
    )

    def __init__(self, desk: Desk, method: Method, context: Any) -> None:  # noqa: ANN401 - grpc's context has no usable type
        self._admitted = False
        self._began = began = time.monotonic()
        self._desk = desk
        self._method = method
        self._context = context
        self._request: Any = None
        self._targets: Sequence[Target] = ()
        self._task: asyncio.Task[Any] | None = None
        self._ended: RegistryError | None = None
        """Why an open stream was ended from our side."""
        self.writing = False
        """A reply is on its way: grpc loses count of what was sent when that is cancelled."""
        meter = method.meter
        desk.in_flight += 1
        meter.in_flight += 1
        meter.started += 1
        if method.streams:
            # A stream shows as soon as it began; a unary call when it ends, which is at once.
            desk.recorder.touch()
        authorization, request_id, min_revision = read_headers(context.invocation_metadata() or ())
        self.credentials = Credentials(authorization, None if authorization else certificate_of(context))
        """What says who calls; an open stream is proven by it again."""
        remaining = context.time_remaining()
        self.deadline_s = cap = _deadline(remaining, streams=method.streams)
        """Seconds we must end the call after; None when the transport does it."""
        self._info = CallContext(
            method.name,
            request_id or desk.recorder.request_id(),
            ANONYMOUS,
            began + (cap if cap is not None else remaining or 0.0),
            min_revision,
            peer=context.peer,
            authority=desk.authorizer,
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
        proof = desk.authenticator.cached(self.credentials)
        principal = proof.principal if proof else await desk.authenticator.authenticate(self.credentials)
        info.principal = principal
        desk.admit(principal.name)
        self._admitted = True
        desk.limits.admit(principal.name, self if self._method.streams else None)
        if self._method.streams:
            self._task = asyncio.current_task()
            desk.streams.add(self)

    def authorize(self, request: Any) -> None:  # noqa: ANN401 - a message of whatever method
        """Whether the caller may make this call, from memory; of a stream of requests the first one counts.

        Raises: PROJECT_NOT_FOUND, PERMISSION_MISSING.
        """
        if self._method.public:
            return
        self._request = request
        self._targets = targets = self._method.targets(request)
        self._info.grant = self._desk.authorizer.judge(self._info.principal, targets)
        self._desk.limits.enter(targets[0].resource if targets else "", self if self._method.streams else None)

    async def recheck(self) -> None:
        """See `OpenStream`. While the database, or an issuer, cannot be asked the stream goes on as it is."""
        desk, info = self._desk, self._info
        try:
            proof = desk.authenticator.cached(self.credentials)
            principal = proof.principal if proof else await desk.authenticator.authenticate(self.credentials)
            _require_same(principal, info.principal)
            info.principal = principal
            more = [Target(Need(permission, Where.RESOURCE), resource) for permission, resource in info.held]
            desk.authorizer.judge(principal, [*self._targets, *more])
        except RegistryError as error:
            if CODE_OF[error.reason] is not grpc.StatusCode.UNAVAILABLE and self._task is not None:
                self._ended = error
                if not self.writing:
                    self._task.cancel()

    def require_open(self) -> None:
        """Raises: why the stream was ended from our side, if it was."""
        if self._ended is not None:
            raise self._ended

    def succeed(self) -> None:
        """The servicer answered, and the answer could be encoded."""
        if self._info.revision:
            # No request id here: a header that is never the same twice costs an eighth of the throughput.
            self._context.set_trailing_metadata(revision_trailer(self._info.revision))
        self._end(_OK, "")

    async def fail(self, error: BaseException) -> NoReturn:
        """End the call with the status for `error`. Always raises."""
        context = self._context
        if isinstance(error, InvalidRequestError):
            self._request, error = error.request, error.refusal
        if isinstance(error, AbortError):
            self._end(code_of(context), "")
            raise error
        if self._ended is not None and not _is_gone(context):
            if self._task is not None:
                self._task.uncancel()
            await self._refuse(self._ended)
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)) or _is_gone(context):
            self._end(self._ended_by_caller(), "")
            raise error
        if isinstance(error, TimeoutError) and self.deadline_s is not None:
            self._end(grpc.StatusCode.DEADLINE_EXCEEDED, "")
            await self._abort(
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
        if reason not in _UNTOLD and info.principal is not ANONYMOUS and self._method.rule.mutates:
            self._note(error, reason)
        status = refusal_of(error, info.request_id)
        self._end(status.code, reason.value)
        await self._abort(status.code, status.details, (*status.trailing_metadata, *self._trailing()))

    async def _abort(
        self, code: grpc.StatusCode, details: str, trailing: Sequence[tuple[str, str | bytes]]
    ) -> NoReturn:
        try:
            await self._context.abort(code, details, trailing)
        except AbortError as error:
            asyncio.get_running_loop().call_soon(_untie, error)
            raise
        raise AssertionError  # abort always raises

    def _note(self, error: Exception, reason: Reason) -> None:
        """A refused change of a proven caller belongs in the audit trail."""
        info = self._info
        request = self._request
        targets = self._targets or (self._method.targets(request) if request is not None else ())
        asked = next((target.resource for target in targets), "")
        resource = asked or (error.facts.get("resource", "") if isinstance(error, RegistryError) else "")
        self._desk.denials.note(
            Occurrence(
                actor=info.principal.name,
                method=info.method,
                resource=bounded(resource),
                # One without has the id that its error and the log carry.
                request_id=bounded(getattr(request, "request_id", "").lower() or info.request_id),
                outcome=reason.value,
                authentication=info.principal.method,
                peer=info.peer(),
            )
        )

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
        if self._task is not None:
            desk.streams.discard(self)
            desk.limits.leave(self)
        meter.in_flight -= 1
        meter.ended.append((code, seconds))
        desk.recorder.touch()
        if method.quiet and code is _OK:
            return
        desk.recorder.log(Who(method.name, CODE_NAMES[code], info.principal.name), info.request_id, seconds, reason)


def _require_same(principal: Principal, before: Principal) -> None:
    """Raises: TOKEN_INVALID when what proved one caller proves another now, as a certificate's name may."""
    if principal.name != before.name:
        raise RegistryError(Reason.TOKEN_INVALID, "your credentials now are somebody else's; open a new stream")


def _untie(error: AbortError) -> None:
    """The call keeps the error, and the error its frames, which know the call: until garbage is collected."""
    error.__traceback__ = error.__context__ = None


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
