"""What one caller may do where, worked out of its bindings once and then asked by dictionary lookups."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from registry_grpc.domain.access import Grant
from registry_grpc.domain.errors import PolicyError, Reason
from registry_grpc.domain.names import project_not_found
from registry_grpc.domain.roles import REGISTRY_ONLY, UNCONDITIONAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry_grpc.domain.access import Condition, RoleBinding

    Grants = dict[str, Grant]
    Place = tuple[str, str]
    """Project and model; empty for none."""
_REGISTRY = ("", "")


@dataclass(frozen=True, slots=True)
class Rights:
    """The bindings of one caller, by where they hold."""

    _grants: Mapping[Place, Grants] = field(default_factory=dict)
    _reached: frozenset[str] = frozenset()
    """Projects with a binding on them or on a model in them."""
    _reaches_all: bool = False
    _within: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Project to every permission held on it or on some model in it."""
    _anywhere: frozenset[str] = frozenset()

    @classmethod
    def of(cls, bindings: Iterable[tuple[RoleBinding, Iterable[str]]]) -> Rights:
        """Of bindings, each with the permissions of its role."""
        grants: dict[Place, Grants] = {}
        within: dict[str, frozenset[str]] = {}
        kinds: set[frozenset[str]] = set()
        reaches_all = False
        for binding, of_role in bindings:
            scope, condition = binding.name.scope, binding.condition
            place = (scope.project, scope.model)
            given = _given(tuple(of_role), everywhere=not scope.project, limited=bool(condition))
            kinds.add(given)
            grants[place] = _joined(grants.get(place), given, condition)
            if scope.project:
                within[scope.project] = within.get(scope.project, given) | given
            else:
                reaches_all = reaches_all or bool(given - REGISTRY_ONLY)
        return cls(grants, frozenset(within), reaches_all, within, frozenset().union(*kinds))

    def find(self, permission: str, project: str = "", model: str = "") -> Grant | None:
        """The permission on the registry, a project or a model; None when no binding gives it."""
        found = self._on(_REGISTRY, permission)
        if not project or (found is not None and not found.conditions):
            return found
        for place in ((project, ""), (project, model)) if model else ((project, ""),):
            more = self._on(place, permission)
            if more is not None and not more.conditions:
                return more
            if more is not None:
                found = Grant(permission, (found.conditions if found else ()) + more.conditions)
        return found

    def _on(self, place: Place, permission: str) -> Grant | None:
        grants = self._grants.get(place)
        return None if grants is None else grants.get(permission)

    def reaches(self, project: str) -> bool:
        """Whether some binding reaches into the project; without one it does not exist for the caller."""
        return self._reaches_all or project in self._reached

    def has_within(self, permission: str, project: str) -> bool:
        """Whether the permission is held on the project or on some model in it."""
        return self._on(_REGISTRY, permission) is not None or permission in self._within.get(project, ())

    def has_anywhere(self, permission: str) -> bool:
        """Whether some binding gives it, wherever it holds."""
        return permission in self._anywhere

    def require(self, permission: str, project: str, model: str, resource: str) -> Grant:
        """The permission on `resource`, which lies in that project and model.

        Raises: PROJECT_NOT_FOUND where no binding reaches, PERMISSION_MISSING.
        """
        found = self.find(permission, project, model)
        if found is None:
            raise self.refusal(permission, project, resource)
        return found

    def refusal(self, permission: str, project: str, resource: str) -> PolicyError:
        """The error for a permission that is not there."""
        if project and not self.reaches(project):
            return PolicyError.as_if(project_not_found(project))
        return PolicyError(
            Reason.PERMISSION_MISSING,
            f"you need {permission} on {resource or 'the registry'}; ask who administers it for a role that has it",
            permission=permission,
            resource=resource,
        )

    def visible_projects(self) -> frozenset[str] | None:
        """Ids of the projects some binding reaches into; None for all there are."""
        return None if self._reaches_all else self._reached

    def visible_models(self, project: str) -> frozenset[str] | None:
        """Ids of the models that may be listed in a project; None for all there are."""
        return self.models_with("models.list", project)

    def places_with(self, permission: str) -> tuple[bool, frozenset[str], frozenset[Place]]:
        """Where the permission is held: on the registry, on which projects, and on which models besides."""
        if self.find(permission) is not None:
            return True, frozenset(), frozenset()
        held = [place for place, grants in self._grants.items() if permission in grants]
        projects = frozenset(project for project, model in held if not model)
        return False, projects, frozenset(place for place in held if place[1] and place[0] not in projects)

    def models_with(self, permission: str, project: str) -> frozenset[str] | None:
        """Ids of the models in a project on which the permission is held; None when it is on the project itself."""
        if self.find(permission, project) is not None:
            return None
        return frozenset(
            model
            for (of_project, model), grants in self._grants.items()
            if of_project == project and model and permission in grants
        )


NOTHING = Rights()


@lru_cache(maxsize=1024)
def _given(of_role: tuple[str, ...], *, everywhere: bool, limited: bool) -> frozenset[str]:
    """What of a role a binding gives, on the registry (`everywhere`) or below it, perhaps under a condition."""
    given = frozenset(of_role) if everywhere else frozenset(of_role) - REGISTRY_ONLY
    return given - UNCONDITIONAL if limited else given


@lru_cache(maxsize=1024)
def _unconditional(given: frozenset[str]) -> Grants:
    return {permission: Grant(permission) for permission in given}


def _joined(known: Grants | None, given: frozenset[str], condition: Condition) -> Grants:
    """`known` with what one more binding gives. Never changes a dictionary: they are shared between callers."""
    if not condition:
        return {**known, **_unconditional(given)} if known else _unconditional(given)
    more = dict(known or {})
    for permission in given:
        before = more.get(permission)
        # Nothing new where it is given without a condition.
        if before is None or before.conditions:
            more[permission] = Grant(permission, (*(before.conditions if before else ()), condition))
    return more
