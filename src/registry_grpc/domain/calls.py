"""Who calls, and what a mutation carries besides its request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from registry_grpc.domain.access import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from registry_grpc.domain.access import Grant
    from registry_grpc.domain.events import Event

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Principal:
    """A proven caller."""

    name: str
    """`user:admin`, `user:{issuer}/{name}`, `serviceAccount:{id}`, `serviceAccount:{project}/{id}`; what history and
    audit show."""
    token: str = ""
    """Public id of the token it came with; empty when by other means."""
    groups: tuple[str, ...] = ()
    """`group:{issuer}/{name}`, as its issuer says."""
    method: str = "token"
    """How it was proven: `token`, `oidc` or `certificate`; `system` for the registry itself."""
    expire_time: datetime | None = None
    """When the proof ends; None when it does not."""


SYSTEM = Principal("system:registry", method="system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One mutation: who, which method, under which request id, and how its answer is kept for a retry."""

    principal: Principal
    method: str
    """`Service.Method`, e.g. `ModelService.CreateModel`."""
    request_id: str = ""
    body_hash: bytes = b""
    """SHA-256 of the request without request_id: the same id with another hash is refused."""
    validate_only: bool = False
    grant: Grant = EVERYTHING
    """The permission it needs, as far as the caller has it."""
    peer: str = ""
    """Address the call came from; empty for the registry itself."""
    encode: Callable[[T], bytes] = field(default=lambda _: b"")
    """Turns the value into the opaque bytes that a replay returns. Never given a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed(Generic[T]):
    """What a write came to. Exactly one of `value` and `replay` is set."""

    value: T | None = None
    replay: bytes | None = None
    """The stored answer of the first call with this request id."""
    revision: int = 0
    """Revision of the change; of the first call for a replay; 0 when the write took none."""
    events: tuple[Event, ...] = ()

    def get(self) -> T:
        """The value.

        Raises: ValueError, when this is a replay.
        """
        if self.replay is not None:
            msg = "a replay has no value"
            raise ValueError(msg)
        value: Any = self.value
        return value  # type: ignore[no-any-return]
