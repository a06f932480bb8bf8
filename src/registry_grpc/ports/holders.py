"""What keeps versions from being deleted. Each room that holds some joins the tuple given to the deleting use cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.errors import Violation
    from registry_grpc.domain.resources import Model, Project, Version
    from registry_grpc.ports.store import Reader

MOST = 20
"""Holders named in one refusal."""


class Holders(Protocol):
    """Things of one kind that hold versions. Each is named with what to do about it; `MOST` are enough."""

    def of_version(self, reader: Reader, project: Project, version: Version) -> Sequence[Violation]:
        """What holds this version."""

    def of_model(self, reader: Reader, project: Project, model: Model) -> Sequence[Violation]:
        """What holds a version of this model."""

    def of_project(self, reader: Reader, project: Project) -> Sequence[Violation]:
        """What holds a version of a model of this project that is not deleted."""
