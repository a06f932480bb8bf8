"""Signature and files of a version against those of another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.comparing import compatible
from registry_grpc.domain.metadata import Signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry_grpc.domain.digests import Digest
    from registry_grpc.domain.metadata import TensorSpec
    from registry_grpc.domain.resources import Version

    Told = tuple[Version, Mapping[str, Digest] | None]

MAX_PATHS = 100
"""Of each list of files."""


@dataclass(frozen=True, slots=True)
class SignatureChange:
    """How what a version takes and gives differs from the first one."""

    reason: str
    """Why callers of the first cannot go on with this one; empty when they can."""
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    """Inputs, outputs and parameters as `input:{name}`, those of `changed` with how."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """How the files of a version differ from those of the first one. Paths are sorted, at most MAX_PATHS of a kind."""

    same_count: int
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    shared_bytes: int
    """Of files of both with the same digest, each as often as both have it."""
    truncated: bool


@dataclass(frozen=True, slots=True)
class Content:
    """A version against the first one."""

    version: Version
    signature: SignatureChange
    files: FileChange | None
    """None when the files of one of them are not told."""


def content_of(first: Told, other: Told) -> Content:
    """`other` against `first`, each with the digests of its files by path."""
    (version, here), (_, there) = other, first
    return Content(
        version,
        _signature_change(version.metadata.signature, first[0].metadata.signature),
        None if here is None or there is None else _file_change(here, there),
    )


def _signature_change(own: Signature | None, held: Signature | None) -> SignatureChange:
    mine, theirs = _specs(own), _specs(held)
    return SignatureChange(
        reason=compatible(own, held),
        added=tuple(name for name in mine if name not in theirs),
        removed=tuple(name for name in theirs if name not in mine),
        changed=tuple(
            f"{name} is {_shown(mine[name])}, was {_shown(spec)}"
            for name, spec in theirs.items()
            if name in mine and mine[name] != spec
        ),
    )


def _file_change(here: Mapping[str, Digest], there: Mapping[str, Digest]) -> FileChange:
    both = here.keys() & there.keys()
    changed = [path for path in both if here[path] != there[path]]
    lists = [sorted(paths) for paths in (changed, here.keys() - there.keys(), there.keys() - here.keys())]
    shared = Counter(here.values()) & Counter(there.values())
    shown = [tuple(paths[:MAX_PATHS]) for paths in lists]
    return FileChange(
        same_count=len(both) - len(changed),
        changed=shown[0],
        added=shown[1],
        removed=shown[2],
        shared_bytes=sum(digest.size_bytes * count for digest, count in shared.items()),
        truncated=any(len(paths) > MAX_PATHS for paths in lists),
    )


def _specs(signature: Signature | None) -> dict[str, TensorSpec]:
    """By kind and name, in their order."""
    given = signature or Signature()

    def named(kind: str, specs: Iterable[TensorSpec]) -> dict[str, TensorSpec]:
        return {f"{kind}:{spec.name}": spec for spec in specs}

    return named("input", given.inputs) | named("output", given.outputs) | named("parameter", given.parameters)


def _shown(spec: TensorSpec) -> str:
    shape = list(spec.shape) if spec.shape else ""
    return f"{spec.data_type.value}{shape}{' optional' if spec.optional else ''}"
