"""What people who decided on a promotion may do now, from the rows of their bindings and not from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.access_names import AUTHENTICATED, REGISTRY, Scope
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.promotion import Approver
from registry_grpc.domain.rights import Rights
from registry_grpc.usecases.access.checks import known_role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry_grpc.domain.access import Grant, RoleBinding
    from registry_grpc.domain.promotion import PromotionRequest
    from registry_grpc.domain.resources import Model, Version
    from registry_grpc.ports.store import Reader

APPROVE = "promotionRequests.approve"
PROMOTE = "stages.promote"
_PAGE = 1000


def is_person(principal: str) -> bool:
    """Whether it is somebody whose yes can count: approvals are of people, not of programs."""
    return principal.startswith("user:")


def approvers_of(reader: Reader, request: PromotionRequest, model: Model, version: Version) -> dict[str, Approver]:
    """By principal, of everybody who decided on the request."""
    if not request.approvals:
        return {}
    bindings = _bindings_on(reader, model)
    tags = (model.tags, version.tags)
    found: dict[str, Approver] = {}
    for each in request.approvals:
        own = _of(bindings, each.principal, each.groups)
        grant = _rights(reader, own).find(APPROVE, model.name.project, model.name.model)
        may = grant is not None and _within(grant, request.stage, tags)
        roles = frozenset(str(one.role) for one in own if one.condition.allows((request.stage,), tags))
        found[each.principal] = Approver(may, roles)
    return found


def promote_grant(reader: Reader, request: PromotionRequest, model: Model) -> Grant | None:
    """What whoever opened the request may do about stages of the model now; None for nothing."""
    own = _of(_bindings_on(reader, model), request.creator, request.creator_groups)
    return _rights(reader, own).find(PROMOTE, model.name.project, model.name.model)


def _within(grant: Grant, stage: str, tags: tuple[object, ...]) -> bool:
    try:
        grant.require(stage, stages=(stage,), tags=tags)  # type: ignore[arg-type] # maps of tags
    except RegistryError:
        return False
    return True


def _bindings_on(reader: Reader, model: Model) -> list[RoleBinding]:
    name = model.name
    scopes = (REGISTRY, Scope(name.project, ""), Scope(name.project, name.model))
    return [binding for scope in scopes for binding in _all(reader, scope)]


def _all(reader: Reader, scope: Scope) -> Iterator[RoleBinding]:
    after = ""
    while page := reader.access.bindings.list(scope, after=after, limit=_PAGE):
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].name.id


def _of(bindings: list[RoleBinding], principal: str, groups: tuple[str, ...]) -> list[RoleBinding]:
    members = {principal, *groups, AUTHENTICATED}
    return [binding for binding in bindings if members.intersection(binding.members)]


def _rights(reader: Reader, bindings: list[RoleBinding]) -> Rights:
    return Rights.of((binding, known_role(reader, binding.role).permissions) for binding in bindings)
