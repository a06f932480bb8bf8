"""Domain values as versioned JSON text: `[1, {…}]`, the number of the form first.

Text and not jsonb, so that both engines keep the same bytes: jsonb refuses U+0000 and does not know NaN. Doubles and
64-bit integers come back exactly; NaN and the infinities are written as the strings that pydantic reads back.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter

from registry_grpc.domain.access import Condition, Role, RoleBinding, ServiceAccount
from registry_grpc.domain.artifacts import Artifact
from registry_grpc.domain.deployments import Deployment
from registry_grpc.domain.evidence import Evidence, ModelSignature, TrustedSigner
from registry_grpc.domain.identity import Token
from registry_grpc.domain.lineage import Links, Run
from registry_grpc.domain.metadata import Format, Metadata, ModelCard
from registry_grpc.domain.pointers import Pointer
from registry_grpc.domain.policies import Policy
from registry_grpc.domain.promotion import PromotionRequest
from registry_grpc.domain.resources import Model, Project, StageDefinition, Version
from registry_grpc.domain.tenancy import Quotas, Retention
from registry_grpc.domain.webhooks import Attempt, Webhook

T = TypeVar("T")

FORM = 1
"""Number of the form below. A new form gets a new number and the code to read the old one."""


class Codec(Generic[T]):
    """Turns values of one type into text and back."""

    def __init__(self, kind: Any, *, without: frozenset[str] = frozenset()) -> None:  # noqa: ANN401 -- what an annotation is has no type
        """`kind` is the type, as in an annotation; fields in `without` are never written and come back empty."""
        self.without = without
        self._exclude: Any = {1: set(without)} if without else None
        config = ConfigDict(ser_json_inf_nan="strings")
        self._adapter: TypeAdapter[tuple[int, T]] = TypeAdapter(tuple[Literal[1], kind], config=config)

    def encode(self, value: T) -> str:
        """The text to keep."""
        return self._adapter.dump_json((FORM, value), exclude=self._exclude).decode()

    def decode(self, text: str) -> T:
        """The value.

        Raises: ValueError for a form this program does not know.
        """
        return self._adapter.validate_json(text)[1]


class RememberedCodec(Codec[T]):
    """For values that are read again and again and change seldom. They must be immutable throughout."""

    def __init__(self, kind: Any, *, most: int) -> None:  # noqa: ANN401 -- as above
        """The newest `most` texts are remembered."""
        super().__init__(kind)
        self._remembered = lru_cache(maxsize=most)(super().decode)

    def decode(self, text: str) -> T:
        """The value; the same one for the same text."""
        return self._remembered(text)


WORDS: Codec[tuple[str, ...]] = Codec(tuple[str, ...])
CONDITION: Codec[Condition] = Codec(Condition)
LABELS: Codec[Mapping[str, str]] = Codec(Mapping[str, str])
STAGES: Codec[tuple[StageDefinition, ...]] = Codec(tuple[StageDefinition, ...])
METADATA: Codec[Metadata] = Codec(Metadata)
CARD: Codec[ModelCard] = Codec(ModelCard)
QUOTAS: Codec[Quotas] = Codec(Quotas)
RETENTION: Codec[Retention] = Codec(Retention)
FORMATS: Codec[tuple[Format, ...]] = Codec(tuple[Format, ...])
ARTIFACT: Codec[Artifact] = Codec(Artifact)
ATTEMPTS: Codec[tuple[Attempt, ...]] = Codec(tuple[Attempt, ...])
POLICY: Codec[Policy] = RememberedCodec(Policy, most=256)
PROMOTION_REQUEST: Codec[PromotionRequest] = Codec(PromotionRequest)
RUN: Codec[Run] = Codec(Run)

RESOURCES: dict[str, tuple[type, Codec[Any]]] = {
    kind.__name__.lower(): (kind, Codec(kind))
    for kind in (Project, Model, Version, Pointer, Artifact, Deployment, Role, RoleBinding, ServiceAccount)
} | {
    "policy": (Policy, POLICY),
    "promotionrequest": (PromotionRequest, PROMOTION_REQUEST),
    "token": (Token, Codec(Token, without=frozenset({"secret_hash"}))),
    "evidence": (Evidence, Codec(Evidence)),
    "links": (Links, Codec(Links)),
    "run": (Run, RUN),
    "modelsignature": (ModelSignature, Codec(ModelSignature, without=frozenset({"bundle"}))),
    "trustedsigner": (TrustedSigner, Codec(TrustedSigner)),
    "webhook": (Webhook, Codec(Webhook, without=frozenset({"secret", "old_secret", "progress"}))),
}
"""What an event may be about, by the name kept in `event.resource_type`."""


def resource_type(resource: object) -> str:
    """The name of a resource's type in the log.

    Raises: TypeError for what is no resource.
    """
    name = type(resource).__name__.lower()
    if name not in RESOURCES:
        msg = f"{type(resource).__name__} is nothing an event can be about"
        raise TypeError(msg)
    return name
