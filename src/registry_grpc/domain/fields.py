"""Fields of a version by their path in the contract: `owner`, `tags.team`, `code.revision`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from registry_grpc.domain.metadata import (
    CodeRevision,
    Framework,
    Metadata,
    ModelCard,
    Provenance,
    Signature,
    TrainingRun,
)

if TYPE_CHECKING:
    from registry_grpc.domain.resources import Version

_OWN = frozenset({"version_label", "owner", "description", "model_card", "card", "formats"})
_MAPS = frozenset({"tags", "annotations"})
_METADATA = frozenset(field.name for field in fields(Metadata))
_PROVENANCE = frozenset(field.name for field in fields(Provenance))
_NESTED = {
    "card": ModelCard,
    "framework": Framework,
    "signature": Signature,
    "provenance": Provenance,
    "training_run": TrainingRun,
    "code": CodeRevision,
}
HEADS = _OWN | _MAPS | _METADATA | _PROVENANCE
"""What a path may begin with."""


def path_fault(path: str) -> str:
    """What is wrong with a path; empty when nothing is."""
    head, _, rest = path.partition(".")
    if head not in HEADS:
        return f"{head!r} is no field of a version that can be required; one of {', '.join(sorted(HEADS))}"
    if head in _MAPS:
        return "" if rest or path == head else f"{path!r} names no key"
    while rest:
        kind = _NESTED.get(head)
        head, _, rest = rest.partition(".")
        known = {field.name for field in fields(kind)} if kind else set()
        if head not in known:
            return f"{head!r} in {path!r} is no field; " + (
                f"one of {', '.join(sorted(known))}" if known else "none is"
            )
    return ""


def value_at(version: Version, path: str) -> object:
    """The value; None where there is nothing."""
    head, _, rest = path.partition(".")
    provenance = version.metadata.provenance
    if head in _MAPS:
        values: Mapping[str, str] = getattr(version, head)
        return values.get(rest) if rest else values
    if head in _OWN:
        value: object = getattr(version, head)
    elif head in _METADATA:
        value = getattr(version.metadata, head)
    else:
        value = getattr(provenance, head, None)
    for step in rest.split(".") if rest else ():
        value = getattr(value, step, None)
    return value


def is_empty(value: object) -> bool:
    """Whether nothing is said."""
    return value is None or value in ("", (), {}) or value is False or value == ModelCard()
