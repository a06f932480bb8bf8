"""Webhooks: what they want, and when a delivery is tried again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from registry_grpc.domain.digests import etag_of
from registry_grpc.domain.webhook_names import DeliveryName, WebhookName

MAX_WEBHOOKS = 100
"""Of one project."""
MAX_URL = 2048
MAX_FILTERS = 100
MAX_REDELIVER = 1000
MAX_KEPT_ATTEMPTS = 20
MAX_ERROR = 1024
MAX_BODY_BYTES = 256 * 1024
DEFAULT_OVERLAP = timedelta(days=1)
MAX_OVERLAP = timedelta(days=7)
KEPT_FOR = timedelta(days=7)
"""How long deliveries that ended can be listed and put back in line."""
SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Pause before each attempt. Source: the Standard Webhooks specification, "Deliverability and reliability"."""
JITTER = 0.1
"""Part of a pause by which it is longer or shorter, so that what failed together does not come back together."""
MAX_RETRY_AFTER = timedelta(hours=24)
GONE = "gone"
"""`disable_reason` after a 410."""
_GONE_STATUS = 410
_BUSY = frozenset({429, 502, 503, 504})
"""Statuses whose Retry-After is heeded."""


class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Progress:
    """How a webhook gets on. Moves without a revision; never written with the webhook."""

    cursor: int = 0
    """Events up to this revision are in line."""
    pending: int = 0
    dead: int = 0
    last_success_time: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address that events of a project are sent to."""

    uid: str
    name: WebhookName
    display_name: str = ""
    url: str
    models: tuple[str, ...] = ()
    """Ids; empty for all, and for the project itself."""
    resource_types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    """Values of `domain.events.Action`."""
    stages: tuple[str, ...] = ()
    disabled: bool = False
    disable_reason: str = ""
    secret: bytes = field(default=b"", repr=False)
    """Sealed. Never in an event: empty there, as the next one."""
    old_secret: bytes = field(default=b"", repr=False)
    """Sealed; signs too until `old_secret_expire_time`."""
    old_secret_expire_time: datetime | None = None
    creator: str = ""
    create_time: datetime
    update_time: datetime
    revision: int = 0
    progress: Progress = field(default_factory=Progress)
    """Read by joining; never in an event."""

    @property
    def etag(self) -> str:
        """Changes with every revision; deliveries do not count."""
        return etag_of(self.uid, self.revision)

    def wants(self, said: Summary) -> bool:
        """Whether it gets the event."""
        return (
            said.project == self.name.project
            and (not self.models or said.model in self.models)
            and (not self.resource_types or said.resource_type in self.resource_types)
            and (not self.actions or said.action in self.actions)
            and (not self.stages or said.resource_type != "Stage" or said.stage in self.stages)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the filters of webhooks, and the log of deliveries, see of an event."""

    project: str
    model: str
    """Empty for an event of the project itself. Events of one model are delivered in order."""
    resource_type: str
    action: str
    stage: str
    event_type: str
    """Of CloudEvents, `dev.registry-grpc.stage.assigned.v1`."""
    subject: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt."""

    time: datetime
    duration: timedelta
    http_status: int = 0
    """0 when no answer came."""
    error: str = ""
    """Empty when it went well."""
    retry_after: timedelta | None = None
    """What the receiver asked for."""

    @property
    def succeeded(self) -> bool:
        """Whether the receiver took it: 2xx and nothing else."""
        return not self.error

    @property
    def gone(self) -> bool:
        """Whether the receiver wants nothing any more."""
        return self.http_status == _GONE_STATUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one webhook."""

    id: str
    """UUID, random: a log that was rewound uses revisions again."""
    webhook_uid: str
    webhook: WebhookName
    lane: str
    """Model; deliveries of one lane are sent one after the other, in the order of the log."""
    event_revision: int
    event_index: int
    event_type: str
    subject: str
    body: str
    state: DeliveryState = DeliveryState.PENDING
    attempts: tuple[Attempt, ...] = ()
    tries: int = 0
    """Attempts since it was put in line."""
    next_attempt_time: datetime | None = None
    """None for those that stand behind another one of their lane, and for those that ended."""
    create_time: datetime
    """When its event was committed."""
    end_time: datetime | None = None

    @property
    def name(self) -> DeliveryName:
        """Resource name."""
        return DeliveryName(self.webhook.project, self.webhook.webhook, self.id)


def pause_after(tries: int, attempt: Attempt, jitter: float) -> timedelta | None:
    """How long to wait after `tries` attempts, the last of which was `attempt`; None to give up.

    `jitter` is a random number of 0 to 1. A busy receiver is not asked again before it wishes.
    """
    if tries >= len(SCHEDULE):
        return None
    pause = SCHEDULE[tries] * (1 + JITTER * (2 * jitter - 1))
    if attempt.http_status in _BUSY and attempt.retry_after is not None:
        return max(pause, min(attempt.retry_after, MAX_RETRY_AFTER))
    return pause
