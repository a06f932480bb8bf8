"""What a servicer may know about the call it answers; set by the interceptors, read with `call_context()`."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_grpc.domain.calls import Principal

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
