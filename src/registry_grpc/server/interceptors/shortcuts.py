"""Calls that are repeated word for word, answered without taking them apart again.

A controller asks the same question with the same headers many times a second. What reading, proving and checking it
came to is kept under its exact bytes and headers, and the whole way takes one dictionary lookup. Anything unusual, a
header that differs, a token to be proven again, an answer that is not at hand, goes the ordinary way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc

from registry_grpc.auth.authenticator import Proof
from registry_grpc.auth.credentials import HEADER, Credentials
from registry_grpc.domain.errors import RegistryError
from registry_grpc.observability.access_log import Who
from registry_grpc.observability.rpc_metrics import CODE_NAMES
from registry_grpc.server.interceptors.calls import MAX_UNARY_S, revision_trailer
from registry_grpc.server.interceptors.desk import Desk
from registry_grpc.server.interceptors.methods import REMEMBERED_BYTES, Method
from registry_grpc.server.interceptors.repeats import Repeats

Answer = Callable[[], tuple[bytes, int] | None]
"""The reply and the revision it was read at, now; None when finding it would take waiting."""
Shortcut = Callable[[Any, str], Answer | None]
"""What answers this request of this principal whenever asked; None when it always takes waiting."""
_PLAIN = frozenset({HEADER, "user-agent"})
"""Headers a repeated call may have: those that say the same each time."""
_MAX_HEADERS_BYTES = 2048
_OK = grpc.StatusCode.OK


class _Plan(NamedTuple):
    """What a repeated call comes to."""

    proof: Proof
    answer: Answer
    who: Who
    access: int
    """Version of what callers may do that it was made under."""
    limits: int
    """Version of what limits them, likewise."""
    gate: Callable[[], bool] | None
    """Takes what a call costs of a rate; None while there is none."""


def shortened(desk: Desk, method: Method, shortcut: Shortcut, ordinary: Any) -> Any:  # noqa: ANN401 - grpc's own types are unusable
    """The handler `ordinary` of a unary method that needs no request id, with its repeated calls kept."""
    plans: Repeats[tuple[bytes, Any], _Plan] = Repeats()
    known = plans.get
    meter, monotonic, authorizer, limits = method.meter, time.monotonic, desk.authorizer, desk.limits
    trailer = (0, revision_trailer(0))

    async def answer(raw: bytes, context: Any) -> bytes:  # noqa: ANN401
        nonlocal trailer
        began = monotonic()
        key = (raw, context.invocation_metadata())
        plan = known(key)
        if (
            plan is None
            or plan.proof.until < began
            or plan.access != authorizer.version
            or plan.limits != limits.version
            or desk.in_flight >= desk.max_in_flight
        ):
            data: bytes = await ordinary(raw, context)
            if plans.is_worth(key):
                plans.keep(key, _plan(desk, method, shortcut, key))
            return data
        remaining = context.time_remaining()
        found = plan.answer() if remaining is not None and 0 < remaining <= MAX_UNARY_S else None
        if found is None or (plan.gate is not None and not plan.gate()):
            return await ordinary(raw, context)  # type: ignore[no-any-return]
        reply, revision = found
        if trailer[0] != revision:
            trailer = (revision, revision_trailer(revision))
        context.set_trailing_metadata(trailer[1])
        seconds = monotonic() - began
        meter.answered(seconds)
        desk.recorder.touch()
        desk.recorder.log(plan.who, desk.request_id(), seconds)
        return reply

    return answer


def _plan(desk: Desk, method: Method, shortcut: Shortcut, key: tuple[bytes, Any]) -> _Plan | None:
    """The plan for a call that was just answered the ordinary way, when it may be repeated."""
    raw, headers = key
    if len(raw) > REMEMBERED_BYTES or any(name not in _PLAIN for name, _ in headers):
        return None
    if sum(len(value) for _, value in headers) > _MAX_HEADERS_BYTES:
        return None
    # Without the certificate: it is no part of the key, so a caller who is known by it has no plan.
    proof = desk.authenticator.cached(Credentials([value for name, value in headers if name == HEADER]))
    request = method.parse(raw)
    answer = shortcut(request, proof.principal.name) if proof is not None else None
    if proof is None or answer is None:
        return None
    access, limits = desk.authorizer.version, desk.limits.version
    targets = method.targets(request)
    try:
        desk.authorizer.judge(proof.principal, targets)
    except RegistryError:
        return None
    gate = desk.limits.gate(proof.principal.name, targets[0].resource if targets else "")
    who = Who(method.name, CODE_NAMES[_OK], proof.principal.name)
    return _Plan(proof, answer, who, access, limits, gate)
