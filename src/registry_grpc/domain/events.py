"""What a committed change says to followers, and what a refused call leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry_grpc.domain.access import Role, RoleBinding, ServiceAccount
from registry_grpc.domain.artifacts import Artifact
from registry_grpc.domain.deployments import Deployment
from registry_grpc.domain.evidence import Evidence, ModelSignature, TrustedSigner
from registry_grpc.domain.identity import Token
from registry_grpc.domain.lineage import Links, Run
from registry_grpc.domain.pointers import Pointer
from registry_grpc.domain.policies import Policy
from registry_grpc.domain.promotion import PromotionRequest
from registry_grpc.domain.resources import Model, Project, Version
from registry_grpc.domain.webhooks import Webhook

Resource = (
    Project
    | Model
    | Version
    | Pointer
    | Artifact
    | Deployment
    | Role
    | RoleBinding
    | ServiceAccount
    | Token
    | Webhook
    | Policy
    | PromotionRequest
    | Evidence
    | ModelSignature
    | TrustedSigner
    | Links
    | Run
)


class Action(StrEnum):
    """What happened to a resource, past tense."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    UNDELETED = "undeleted"
    PURGED = "purged"
    """It is gone for good; the event says what it was."""
    FINALIZED = "finalized"
    ATTACHED = "attached"
    ASSIGNED = "assigned"
    """A pointer moved to a version."""
    CLEARED = "cleared"
    """A pointer lost its version."""
    DAMAGED = "damaged"
    """The stored bytes of a file were found bad."""
    HEALED = "healed"
    """The stored bytes of a file that was damaged are good again."""
    RETIRED = "retired"
    """A deployment does not run any more."""
    WENT_STALE = "went_stale"
    """Nothing was heard of a deployment for longer than it had promised."""
    CAME_BACK = "came_back"
    """The deployment is heard of again."""
    DEPRECATED = "deprecated"
    """A version that nobody should take up."""
    YANKED = "yanked"
    """A version that was withdrawn."""
    REINSTATED = "reinstated"
    """A deprecated or yanked version is READY again."""
    FROZEN = "frozen"
    """Nothing moves in or out of a stage."""
    UNFROZEN = "unfrozen"
    APPROVED = "approved"
    """Somebody said yes to a promotion request."""
    REJECTED = "rejected"
    """Somebody said no."""
    WITHDRAWN = "withdrawn"
    COMMITTED = "committed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    """Another version came into the stage of a promotion request."""
    COMMENTED = "commented"
    BROKE_GLASS = "broke_glass"
    """A stage moved past its policies."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one resource: what a use case hands to the unit of work.

    `after` is the resource after the change; its type says the resource type.
    """

    action: Action
    after: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change as it stands in the log. Events of one transaction share the revision, ordered by `index`."""

    revision: int
    index: int
    action: Action
    after: Resource
    actor: str
    request_id: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """What takes no revision and belongs into the audit trail all the same: a refused change, collected bytes."""

    actor: str
    method: str
    resource: str
    request_id: str
    outcome: str
    """The reason it was refused, or what came of it."""
    authentication: str = ""
    peer: str = ""


def place_of(resource: Resource) -> tuple[str, str]:
    """Project and model it lies in; empty for none."""
    match resource:
        case Project() | TrustedSigner() | ServiceAccount() | Webhook() | Policy() | Run() | Links():
            return resource.name.project, ""
        case Model() | Version() | Evidence() | ModelSignature() | RoleBinding() | PromotionRequest():
            return resource.name.project, resource.name.model
        case Pointer():
            return resource.model.project, resource.model.model
        case Artifact() | Deployment():
            return resource.version.project, resource.version.model
        case Role() | Token():
            return "", ""
