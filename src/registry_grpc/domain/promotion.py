"""Promotion requests: who asks, who said yes, and when a yes does not count any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from registry_grpc.domain.digests import etag_of
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.governance_names import PromotionRequestName
from registry_grpc.domain.names import VersionName

DEFAULT_LIFE = timedelta(days=14)
MIN_LIFE = timedelta(hours=1)
MAX_LIFE = timedelta(days=90)
MAX_COMMENTS = 100
MAX_DECISIONS = 100


class RequestState(StrEnum):
    """How far a request is. What is kept of an open one is PENDING; APPROVED and REJECTED are found when it is read."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    COMMITTED = "committed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


OPEN = frozenset({RequestState.PENDING, RequestState.APPROVED, RequestState.REJECTED})


class Decision(StrEnum):
    """What somebody decided."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one rule came out."""

    policy: str
    """Empty for the rules of the registry itself."""
    policy_version: int
    rule: str
    kind: str
    passed: bool
    observed: str = ""
    required: str = ""
    hint: str = ""
    advisory: bool = False

    @property
    def refuses(self) -> bool:
        """Whether nothing moves because of it."""
        return not self.passed and not self.advisory


@dataclass(frozen=True, slots=True)
class Binding:
    """What a decision was about: it dies with any of them."""

    manifest_digest: str
    policies: tuple[str, ...]
    """`{name}@{policy_version}`, sorted."""
    base_version: int
    """Holder of an exclusive stage; 0 for none."""

    def broken_by(self, present: Binding) -> str:
        """What changed since; empty when nothing."""
        if self.manifest_digest != present.manifest_digest:
            return "the content of the version changed"
        if self.policies != present.policies:
            return "the policies in force changed"
        if self.base_version != present.base_version:
            return (
                f"the stage is held by version {present.base_version or 'none'}, not by {self.base_version or 'none'}"
            )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The last decision of one person."""

    principal: str
    decision: Decision
    comment: str = ""
    time: datetime
    groups: tuple[str, ...] = ()
    """Of the person then, as the issuer said: rights by way of them are judged by these."""
    binding: Binding
    void_reason: str = ""
    """Why it does not count; found when the request is read, and kept when it ends."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment."""

    principal: str
    text: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRequest:
    """The wish to bring a version into a stage."""

    uid: str
    model_uid: str
    name: PromotionRequestName
    version: VersionName
    stage: str
    justification: str = ""
    manifest_digest: str
    base_version: int = 0
    state: RequestState = RequestState.PENDING
    approvals: tuple[Approval, ...] = ()
    comments: tuple[Comment, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    """As they are when it is read; as they were, when it ended."""
    approvals_missing: int = 0
    auto_commit: bool = False
    creator: str
    creator_groups: tuple[str, ...] = ()
    create_time: datetime
    update_time: datetime
    expire_time: datetime
    end_time: datetime | None = None
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)

    @property
    def open(self) -> bool:
        """Whether anything can come of it."""
        return self.state in OPEN

    def decided(self, approval: Approval) -> PromotionRequest:
        """With a decision in place of an earlier one of the same person."""
        others = tuple(each for each in self.approvals if each.principal != approval.principal)
        return replace(self, approvals=(*others, approval))

    def decision_of(self, principal: str) -> Approval | None:
        """The last decision of a person."""
        return next((each for each in self.approvals if each.principal == principal), None)


@dataclass(frozen=True, slots=True)
class Approver:
    """What somebody who decided may do now."""

    may_approve: bool
    roles: frozenset[str] = frozenset()
    """Roles held on the model, `roles/{role}`."""


def judged(
    request: PromotionRequest, present: Binding, approvers: Mapping[str, Approver], own: frozenset[str]
) -> tuple[Approval, ...]:
    """The decisions of a request, with why each does not count; `own` are those who made what is to be promoted.

    A rejection is void only when whoever made it may not decide any more: no change behind it is a yes, and a program
    may say no, too.
    """
    return tuple(replace(each, void_reason=_void(each, present, approvers, own)) for each in request.approvals)


def _void(each: Approval, present: Binding, approvers: Mapping[str, Approver], own: frozenset[str]) -> str:
    approver = approvers.get(each.principal)
    if approver is None or not approver.may_approve:
        return "may not decide on this promotion any more"
    if each.decision is Decision.REJECTED:
        return ""
    if each.principal in own:
        return "nobody approves what is their own"
    return each.binding.broken_by(present)


def require_open(request: PromotionRequest) -> None:
    """Raises: PROMOTION_CLOSED."""
    if not request.open:
        raise RegistryError(
            Reason.PROMOTION_CLOSED,
            f"{request.name} is {request.state.upper()}; open another request",
            resource=request.name,
            state=request.state.upper(),
        )
