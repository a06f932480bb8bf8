"""Versions that nobody should take up any more, or not use at all; and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.resources import VersionState
from registry_grpc.domain.stages import stage_of
from registry_grpc.usecases.checks import locked_model, require_etag, require_live_version
from registry_grpc.usecases.placement import renew_pointers

if TYPE_CHECKING:
    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import VersionName
    from registry_grpc.domain.resources import Project, Version
    from registry_grpc.ports.store import Store, Unit

_ACTIONS = {
    VersionState.DEPRECATED: Action.DEPRECATED,
    VersionState.YANKED: Action.YANKED,
    VersionState.READY: Action.REINSTATED,
}
_FROM = {
    VersionState.DEPRECATED: {VersionState.READY},
    VersionState.YANKED: {VersionState.READY, VersionState.DEPRECATED},
    VersionState.READY: {VersionState.DEPRECATED, VersionState.YANKED},
}


@dataclass(frozen=True, slots=True)
class SetVersionState:
    """Deprecates, yanks or reinstates (READY) a version."""

    store: Store
    state: VersionState

    def __call__(self, call: Call[Version], name: VersionName, etag: str, reason: str) -> Committed[Version]:
        """A version that is in the state already stays as it is.

        Raises: VERSION_NOT_FOUND, VERSION_STATE, VERSION_IN_USE, ETAG_MISMATCH, PERMISSION_MISSING.
        """

        def work(unit: Unit) -> Version:
            model = locked_model(unit, name.parent)
            project = unit.projects.get(name.project)
            before = require_live_version(unit.versions.get(name))
            call.grant.require(name, tags=(model.tags, before.tags))
            require_etag(before, etag)
            if before.state is self.state:
                return before
            self._require_allowed(project, before)
            revision = unit.advance(str(name))
            after = replace(
                before,
                state=self.state,
                state_reason="" if self.state is VersionState.READY else reason,
                update_time=unit.now,
                revision=revision,
            )
            unit.versions.update(after)
            unit.record(_ACTIONS[self.state], after)
            renew_pointers(unit, call, model, after, revision)
            return after

        return self.store.write(work, call)

    def _require_allowed(self, project: Project, version: Version) -> None:
        if version.state not in _FROM[self.state]:
            raise RegistryError(
                Reason.VERSION_STATE,
                f"{version.name} is {version.state.upper()}; it cannot become {self.state.upper()}",
                version=version.name,
                state=version.state.upper(),
            )
        if self.state is VersionState.YANKED and version.stage and stage_of(project, version.stage).exclusive:
            raise RegistryError(
                Reason.VERSION_IN_USE,
                f"{version.name} holds {version.stage!r}; roll that back, vacate it or promote another version first",
                version=version.name,
                stage=version.stage,
            )
