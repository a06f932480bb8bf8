"""Repositories of policies and promotion requests, and the compiler of the expressions in policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from registry_grpc.domain.governance_names import PolicyName, PromotionRequestName
    from registry_grpc.domain.policies import Policy
    from registry_grpc.domain.promotion import PromotionRequest
    from registry_grpc.domain.resources import Version


class Expressions(Protocol):
    """CEL. Safe from any thread."""

    def fault(self, text: str) -> str:
        """Why it is no expression of type bool over what a policy may ask, or one that may run for long; else empty."""

    def over(self, version: Version, holder: Version | None, stage: str, now: datetime) -> Callable[[str], bool]:
        """What expressions come to over these. It raises ValueError, saying why, when that cannot be told."""


class Policies(Protocol):
    """Policies, every version of them."""

    def get(self, name: PolicyName) -> Policy | None:
        """The present version; None when it was deleted, too."""

    def version(self, name: PolicyName, number: int) -> Policy | None:
        """That version, also of a deleted policy."""

    def newest(self, name: PolicyName) -> int:
        """Number of its newest version, also of a deleted one; 0 for none."""

    def list(self, project: str, *, after: str, limit: int) -> Sequence[Policy]:
        """The present ones, by id."""

    def standing(self, project: str, model_uid: str, stage: str) -> Sequence[Policy | PromotionRequest]:
        """What a promotion meets: all present policies by id, then open requests for the stage, the oldest first."""

    def versions(self, name: PolicyName, *, before: int, limit: int) -> Sequence[Policy]:
        """The newest first, those below `before` unless it is 0."""

    def count(self, project: str) -> int:
        """How many the project has."""

    def put(self, policy: Policy) -> None:
        """Add a version, which is the present one from then on."""

    def retire(self, policy: Policy) -> None:
        """Replace the present version with one that has a `delete_time`: there is none any more."""

    def delete_all(self, project: str) -> Sequence[Policy]:
        """Remove all versions of all policies of a project; returns those that were present."""


class PromotionRequests(Protocol):
    """Promotion requests. The lock of the model serialises writes to them."""

    def get(self, name: PromotionRequestName) -> PromotionRequest | None:
        """The request as it was last written."""

    def next_number(self, model_uid: str) -> int:
        """Number for a new one; the model is locked."""

    def list(
        self, project: str, model: str, *, before: tuple[datetime, str] | None, limit: int, open_only: bool | None
    ) -> Sequence[PromotionRequest]:
        """The newest first, by (create_time, uid). `model` empty: of the whole project; `open_only` None: all."""

    def open_of(self, model_uid: str, stage: str) -> Sequence[PromotionRequest]:
        """Those that are open for a stage, the oldest first."""

    def expired(self, limit: int) -> Sequence[PromotionRequest]:
        """Open ones past their expire_time, the longest first."""

    def insert(self, request: PromotionRequest) -> None:
        """Add one."""

    def update(self, request: PromotionRequest) -> None:
        """Replace the row of `request.name`."""

    def delete_of(self, project: str, model_uids: Collection[str] | None) -> None:
        """Remove those of these models, or of the whole project."""
