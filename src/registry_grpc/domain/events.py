"""What a committed change says: events for followers, and the audit leaf nobody can quietly edit."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry_grpc.domain.access import Role, RoleBinding, ServiceAccount
from registry_grpc.domain.artifacts import Artifact
from registry_grpc.domain.deployments import Deployment
from registry_grpc.domain.identity import Token
from registry_grpc.domain.pointers import Pointer
from registry_grpc.domain.resources import Model, Project, Version
from registry_grpc.domain.webhooks import Webhook

LEAF_VERSION = 1
Resource = (
    Project | Model | Version | Pointer | Artifact | Deployment | Role | RoleBinding | ServiceAccount | Token | Webhook
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
class AuditEntry:
    """One line of the audit trail: who did what to which resource, and what came of it."""

    index: int
    revision: int
    """0 for a denied or failed call: those take no revision."""
    time: datetime
    actor: str
    method: str
    resource: str
    request_id: str
    outcome: str
    """`applied`, or the reason it was refused."""
    detail: bytes
    """SHA-256 of the event payloads of the transaction, in order; empty when there are none."""

    def leaf(self) -> bytes:
        """Canonical bytes of the entry, the same on every engine and in every language.

        A version byte; index, revision and microseconds since the epoch (UTC) as 8-byte big-endian signed integers;
        then actor, method, resource, request id, outcome (UTF-8) and detail, each after its length in 4 bytes.
        """
        micros = round(self.time.timestamp() * 1_000_000)
        texts = (self.actor, self.method, self.resource, self.request_id, self.outcome)
        fields = [*(text.encode() for text in texts), self.detail]
        head = struct.pack(">Bqqq", LEAF_VERSION, self.index, self.revision, micros)
        return head + b"".join(struct.pack(">I", len(field)) + field for field in fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A call that was refused for want of a permission, until it stands in the audit trail."""

    actor: str
    method: str
    resource: str
    request_id: str
    outcome: str
    """The reason."""


def place_of(resource: Resource) -> tuple[str, str]:
    """Project and model it lies in; empty for none."""
    match resource:
        case Project() | ServiceAccount() | Webhook():
            return resource.name.project, ""
        case Model() | Version() | RoleBinding():
            return resource.name.project, resource.name.model
        case Pointer():
            return resource.model.project, resource.model.model
        case Artifact() | Deployment():
            return resource.version.project, resource.version.model
        case Role() | Token():
            return "", ""


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of an audit leaf. Source: RFC 6962 section 2.1, MTH of one entry."""
    return hashlib.sha256(b"\x00" + leaf).digest()
