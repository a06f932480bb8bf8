"""What all calls of a process share: who proves and judges callers, and how many calls are open."""

from __future__ import annotations

from registry_grpc.auth.authenticator import Authenticator
from registry_grpc.auth.authorization import Authorizer
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.observability.recorder import Recorder
from registry_grpc.server.interceptors.denials import Denials
from registry_grpc.server.interceptors.streams import OpenStreams
from registry_grpc.server.limits import Limits


class Desk:
    """What all calls of a process share."""

    def __init__(
        self,
        authenticator: Authenticator,
        authorizer: Authorizer,
        recorder: Recorder,
        denials: Denials,
        limits: Limits,
        *,
        max_in_flight: int,
        max_per_principal: int,
    ) -> None:
        """`max_in_flight` is a fuse for memory, not a quota; `max_per_principal` keeps one from taking all of them."""
        self.authenticator = authenticator
        self.authorizer = authorizer
        self.denials, self.limits = denials, limits
        self.streams = OpenStreams()
        self.recorder = recorder
        self.max_in_flight = max_in_flight
        self.max_per_principal = max_per_principal
        self.in_flight = 0
        self._held: dict[str, int] = {}

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
