"""What a servicer may know about the call it answers; set by the interceptors, read with `call_context()`."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry_grpc.domain.access import EVERYTHING, Grant
from registry_grpc.domain.access_names import place_of
from registry_grpc.domain.rights import NOTHING, Rights

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from registry_grpc.domain.calls import Principal

    class Authority(Protocol):
        """Knows what callers may do."""

        def rights(self, principal: Principal) -> Rights:
            """What the caller may do now."""


REVISION_KEY = "x-registry-revision"
MIN_REVISION_KEY = "x-registry-min-revision"
REQUEST_ID_KEY = "x-request-id"


@dataclass(slots=True)
class CallContext:
    """One call on the server."""

    method: str
    """`Service.Method`, as `domain.calls.Call.method` wants it."""
    request_id: str
    """Id of this call for logs, made here or given in `x-request-id`; not the request_id of a mutation."""
    principal: Principal
    deadline: float = field(default=float("inf"))
    """When the caller stops waiting, on the clock of `time.monotonic`."""
    min_revision: int = 0
    """From `x-registry-min-revision`: answer at least this fresh."""
    revision: int = 0
    """Sent as trailing `x-registry-revision` when above 0: the revision the answer was read at or written as."""

    grant: Grant = EVERYTHING
    """The permission the call is about, as far as the caller has it: what `Call.grant` is made of."""
    peer: Callable[[], str] = field(default=lambda: "")
    """The address the call came from; asked for by the few that write it down."""
    authority: Authority | None = None
    """Without one the caller may do nothing beyond the call itself."""
    held: tuple[tuple[str, str], ...] = ()
    """Permissions and resources an open stream was found to need: checked again while it lasts."""

    @property
    def rights(self) -> Rights:
        """What the caller may do now."""
        return self.authority.rights(self.principal) if self.authority is not None else NOTHING

    def may(self, permission: str, resource: str = "") -> bool:
        """Whether the caller has the permission on `resource` (empty: the registry) without any condition."""
        found = self.rights.find(permission, *place_of(resource))
        return found is not None and not found.conditions

    def require(self, permission: str, resource: str = "") -> Grant:
        """The permission on `resource`, perhaps under conditions.

        Raises: PERMISSION_MISSING; PROJECT_NOT_FOUND where no binding of the caller reaches.
        """
        return self.rights.require(permission, *place_of(resource), resource)

    def hold(self, permission: str, resource: str) -> Grant:
        """As `require`; the stream ends when the caller loses it."""
        grant = self.require(permission, resource)
        self.held = (*self.held, (permission, resource))
        return grant

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline, not below 0."""
        return max(0.0, self.deadline - time.monotonic())


_CURRENT: ContextVar[CallContext] = ContextVar("registry_grpc_call")
enter = _CURRENT.set
"""For the interceptors only."""
call_context = _CURRENT.get
"""The context of the present call.

Raises: LookupError outside of a call.
"""
