"""Names of webhooks and of their deliveries."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry_grpc.domain.names import ID_PATTERN, UUID_PATTERN, ProjectName, parts_of

_WEBHOOK = re.compile(rf"projects/(?P<project>{ID_PATTERN})/webhooks/(?P<webhook>{ID_PATTERN})")
_DELIVERY = re.compile(rf"{_WEBHOOK.pattern}/deliveries/(?P<delivery>{UUID_PATTERN})")


@dataclass(frozen=True, slots=True, order=True)
class WebhookName:
    """`projects/{project}/webhooks/{webhook}`."""

    project: str
    webhook: str

    FORM = "projects/{project}/webhooks/{webhook}"

    def __str__(self) -> str:
        return f"projects/{self.project}/webhooks/{self.webhook}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> WebhookName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(**parts_of(_WEBHOOK, text, field, cls.FORM))

    @property
    def parent(self) -> ProjectName:
        """Its project."""
        return ProjectName(self.project)


@dataclass(frozen=True, slots=True, order=True)
class DeliveryName:
    """`projects/{project}/webhooks/{webhook}/deliveries/{delivery}`."""

    project: str
    webhook: str
    delivery: str

    FORM = "projects/{project}/webhooks/{webhook}/deliveries/{delivery}"

    def __str__(self) -> str:
        return f"{self.parent}/deliveries/{self.delivery}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> DeliveryName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(**parts_of(_DELIVERY, text, field, cls.FORM))

    @property
    def parent(self) -> WebhookName:
        """Its webhook."""
        return WebhookName(self.project, self.webhook)
