"""Names of webhooks and of their deliveries."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry_grpc.domain.errors import Reason, RegistryError, Violation, shortened
from registry_grpc.domain.names import ID_PATTERN, UUID_PATTERN, ProjectName

_WEBHOOK = re.compile(rf"projects/(?P<project>{ID_PATTERN})/webhooks/(?P<webhook>{ID_PATTERN})")
_DELIVERY = re.compile(rf"{_WEBHOOK.pattern}/deliveries/(?P<delivery>{UUID_PATTERN})")


def _parse(pattern: re.Pattern[str], text: str, field: str, form: str) -> dict[str, str]:
    match = pattern.fullmatch(text)
    if match is None:
        shown = shortened(text)
        raise RegistryError(
            Reason.INVALID_RESOURCE_NAME,
            f"{field}: {shown!r} is not a name of the form {form}",
            violations=(Violation(field, f"must have the form {form}"),),
            pattern=form,
            value=shown,
        )
    return match.groupdict()


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
        return cls(**_parse(_WEBHOOK, text, field, cls.FORM))

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
        return cls(**_parse(_DELIVERY, text, field, cls.FORM))

    @property
    def parent(self) -> WebhookName:
        """Its webhook."""
        return WebhookName(self.project, self.webhook)
