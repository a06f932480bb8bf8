"""Calls that are repeated word for word, answered without taking them apart again.

A controller asks the same question with the same headers many times a second. What reading, proving and checking it
came to is kept under its exact headers and bytes, and the whole way takes two dictionary lookups. Anything unusual, a
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
from registry_grpc.server.interceptors.calls import revision_trailer
from registry_grpc.server.interceptors.desk import Desk
from registry_grpc.server.interceptors.methods import REMEMBERED_BYTES, Handler, Method
from registry_grpc.server.interceptors.repeats import Repeats

Gate = Callable[[], bool]
"""Takes what a call costs of a rate; False when there is none left."""
Answer = Callable[[Gate | None], tuple[bytes, int] | None]
"""The reply and the revision it was read at, now, counted; None when finding it would take waiting.

Also None, and nothing counted, when the gate it passes before it is counted is closed.
"""
Shortcut = Callable[[Any, str], Answer | None]
"""What answers this request of this principal whenever asked; None when it always takes waiting."""
Headers = tuple[tuple[str, str | bytes], ...]
"""As gRPC gives them."""
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
    gate: Gate | None
    """None while there is no rate."""


class Shortened:
    """A unary method that needs no request id, with its repeated calls kept: by who asks, then by what is asked."""

    def __init__(self, desk: Desk, method: Method, shortcut: Shortcut, ordinary: Handler) -> None:
        """`ordinary` answers whatever is not kept."""
        self._desk = desk
        self._method = method
        self._shortcut = shortcut
        self._ordinary = ordinary
        self._callers: Repeats[Headers, Handler] = Repeats()
        self._plans: Repeats[tuple[bytes, object], _Plan] = Repeats()

    def handler(self, headers: Headers) -> Handler:
        """What answers a call with these headers. gRPC made them for this; asking the context makes them anew."""
        known = self._callers.get(headers)
        if known is not None:
            return known
        # Only of the proven: nobody else shall take memory or drive out who is there.
        if not _are_plain(headers) or self._proof(headers) is None:
            return self._ordinary
        handler: Handler = grpc.unary_unary_rpc_method_handler(self._answering(headers))
        self._callers.keep(headers, handler)
        return handler

    def _answering(self, headers: Headers) -> Any:  # noqa: ANN401 - grpc's own types are unusable
        """Answers all calls with these headers."""
        desk, plans, otherwise = self._desk, self._plans, self._ordinary.unary_unary
        known, meter, monotonic = plans.get, self._method.meter, time.monotonic
        authorizer, limits, told = desk.authorizer, desk.limits, desk.recorder.answered
        assert otherwise is not None  # noqa: S101 -- for the type checker
        caller = object()
        trailer = (0, revision_trailer(0))

        async def answer(raw: bytes, context: Any) -> bytes:  # noqa: ANN401
            nonlocal trailer
            began = monotonic()
            key = (raw, caller)
            plan = known(key)
            if (
                plan is None
                or plan.proof.until < began
                or plan.access != authorizer.version
                or plan.limits != limits.version
                or desk.in_flight >= desk.max_in_flight
            ):
                data: bytes = await otherwise(raw, context)
                if plans.is_worth(key):
                    plans.keep(key, self._plan(headers, raw))
                return data
            # Whatever time the caller leaves: it is answered at once, and for one who is gone gRPC sends nothing.
            found = plan.answer(plan.gate)
            if found is None:
                return await otherwise(raw, context)  # type: ignore[no-any-return]
            reply, revision = found
            if trailer[0] != revision:
                trailer = (revision, revision_trailer(revision))
            context.set_trailing_metadata(trailer[1])
            told(meter, plan.who, monotonic() - began)
            return reply

        return answer

    def _plan(self, headers: Headers, raw: bytes) -> _Plan | None:
        """The plan for a call that was just answered the ordinary way, when it may be repeated."""
        desk, method, proof = self._desk, self._method, self._proof(headers)
        if len(raw) > REMEMBERED_BYTES or proof is None:
            return None
        request = method.parse(raw)
        answer = self._shortcut(request, proof.principal.name)
        if answer is None:
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

    def _proof(self, headers: Headers) -> Proof | None:
        """Who calls with these headers, if that was proven lately."""
        # Without the certificate: it is no part of the headers, so a caller who is known by it has no plan.
        return self._desk.authenticator.cached(Credentials([str(value) for name, value in headers if name == HEADER]))


def _are_plain(headers: Headers) -> bool:
    """Whether these are headers a repeated call may have."""
    return all(name in _PLAIN for name, _ in headers) and sum(len(value) for _, value in headers) <= _MAX_HEADERS_BYTES
