"""Names of policies and of promotion requests."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry_grpc.domain.names import ID_PATTERN, NUMBER_PATTERN, ModelName, ProjectName, parts_of

_POLICY = re.compile(rf"projects/(?P<project>{ID_PATTERN})/policies/(?P<policy>{ID_PATTERN})")
_REQUEST = re.compile(
    rf"projects/(?P<project>{ID_PATTERN})/models/(?P<model>{ID_PATTERN})/promotionRequests/(?P<number>{NUMBER_PATTERN})"
)


@dataclass(frozen=True, slots=True, order=True)
class PolicyName:
    """`projects/{project}/policies/{policy}`."""

    project: str
    policy: str

    FORM = "projects/{project}/policies/{policy}"

    def __str__(self) -> str:
        return f"projects/{self.project}/policies/{self.policy}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> PolicyName:
        """Raises: INVALID_RESOURCE_NAME."""
        match = parts_of(_POLICY, text, field, cls.FORM)
        return cls(match["project"], match["policy"])

    @property
    def parent(self) -> ProjectName:
        """Its project."""
        return ProjectName(self.project)


@dataclass(frozen=True, slots=True, order=True)
class PromotionRequestName:
    """`projects/{project}/models/{model}/promotionRequests/{promotion_request}`; requests are numbered per model."""

    project: str
    model: str
    number: int

    FORM = "projects/{project}/models/{model}/promotionRequests/{promotion_request}"

    def __str__(self) -> str:
        return f"{self.parent}/promotionRequests/{self.number}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> PromotionRequestName:
        """Raises: INVALID_RESOURCE_NAME."""
        match = parts_of(_REQUEST, text, field, cls.FORM)
        return cls(match["project"], match["model"], int(match["number"]))

    @property
    def parent(self) -> ModelName:
        """Its model."""
        return ModelName(self.project, self.model)
