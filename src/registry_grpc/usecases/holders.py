"""What holds a version: aliases and protected stages, and the one refusal that names the holders of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError, Violation
from registry_grpc.domain.pointers import PointerKind
from registry_grpc.ports.holders import MOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry_grpc.domain.pointers import Pointer
    from registry_grpc.domain.resources import Model, Project, Version
    from registry_grpc.ports.store import Reader


class PointerHolders:
    """Aliases and protected stages. Implements `ports.holders.Holders`."""

    def of_version(self, reader: Reader, project: Project, version: Version) -> Sequence[Violation]:
        """See the port."""
        pointers = reader.pointers.of_version(version.uid)
        aliases = [pointer for pointer in pointers if pointer.kind is PointerKind.ALIAS]
        return _holders(aliases, [version] if version.stage in _protected(project) else [])

    def of_model(self, reader: Reader, project: Project, model: Model) -> Sequence[Violation]:
        """See the port."""
        protected = [
            version
            for stage in _protected(project)
            for version in reader.versions.list(model.uid, after=0, limit=MOST, stage=stage)
        ]
        return _holders(reader.pointers.list(model.uid, PointerKind.ALIAS, limit=MOST), protected)

    def of_project(self, reader: Reader, project: Project) -> Sequence[Violation]:
        """See the port."""
        name = project.name.project
        stages = _protected(project)
        protected = reader.versions.in_stages(name, stages, MOST) if stages else ()
        return _holders(reader.pointers.of_project(name, PointerKind.ALIAS, limit=MOST), protected)


def require_free(name: object, holders: Iterable[Sequence[Violation]]) -> None:
    """Refuse to delete what is held.

    Raises: VERSION_IN_USE naming the holders.
    """
    found = [holder for each in holders for holder in each][:MOST]
    if found:
        named = ", ".join(holder.subject for holder in found)
        raise RegistryError(Reason.VERSION_IN_USE, f"{name} is held by {named}", violations=tuple(found), holders=named)


def _protected(project: Project) -> list[str]:
    return [stage.id for stage in project.stages if stage.protected]


def _holders(aliases: Iterable[Pointer], protected: Iterable[Version]) -> Sequence[Violation]:
    return [
        *(
            Violation(str(alias.name), f"alias {alias.id!r} points at version {alias.number}; delete or move it")
            for alias in aliases
        ),
        *(
            Violation(
                f"{version.name.parent}/stages/{version.stage}",
                f"version {version.name.number} is in protected stage {version.stage!r}; vacate it or promote another",
            )
            for version in protected
        ),
    ]
