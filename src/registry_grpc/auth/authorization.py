"""Whether a caller may make a call, from the request and from memory alone: no SQL, no waiting.

What is on a resource's row, the conditions of bindings, is left to the use cases, by the `Grant` they are given.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from registry_grpc.auth.permissions import RULES, MissingPermissionError, Need, Rule, Where
from registry_grpc.domain.access import EVERYTHING, Grant
from registry_grpc.domain.access_names import ServiceAccountName, place_of
from registry_grpc.domain.errors import Reason, RegistryError, Violation, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from registry_grpc.domain.calls import Principal
    from registry_grpc.domain.rights import Rights

    class Authority(Protocol):
        """Knows what callers may do."""

        @property
        def version(self) -> int:
            """Rises with every change."""

        def rights(self, principal: Principal) -> Rights:
            """What the caller may do now."""


class Target(NamedTuple):
    """One thing a call needs, of one request."""

    need: Need
    resource: str
    """Its name as the request has it; empty for the registry."""


Targets: TypeAlias = "Callable[[Any], Sequence[Target]]"


def targets_of(path: str, descriptor: Any) -> Targets:  # noqa: ANN401 - upb and pure Python have a type each
    """Reads what a request of the method at `path` needs; `descriptor` is that of its request.

    Raises: MissingPermissionError when the method has no row, or names a field that its request has not.
    """
    rule = RULES.get(path)
    if rule is None:
        raise MissingPermissionError(f"no permission is set in auth/permissions.py for: {path}")
    return _reader(path, rule, descriptor)


def _reader(path: str, rule: Rule, descriptor: Any) -> Targets:  # noqa: ANN401
    fixed = [Target(need, "") for need in rule.needs if not need.path]
    if len(fixed) == len(rule.needs):
        return lambda _: fixed
    reads = [_field(path, need, descriptor) for need in rule.needs if need.path]
    if len(rule.needs) == 1:
        return reads[0]
    return lambda request: [target for read in reads for target in read(request)]


def _field(path: str, need: Need, descriptor: Any) -> Targets:  # noqa: ANN401
    """Reads the names in one field; `a.b`, `a[]` and `a[].b` are all there is."""
    head, is_list, tail = need.path.partition("[]")
    _require_text(path, need, descriptor)
    get = attrgetter(head)
    if not is_list:
        return lambda request: [Target(need, get(request))]
    item: Callable[[Any], str] = attrgetter(tail[1:]) if tail else str
    return lambda request: [Target(need, item(each)) for each in get(request)]


def _require_text(path: str, need: Need, descriptor: Any) -> None:  # noqa: ANN401
    """Raises: MissingPermissionError unless the path leads to text, with `[]` behind what is repeated."""
    at: Any = descriptor
    field: Any = None
    fits = True
    for step in need.path.split("."):
        field = at.fields_by_name.get(step.removesuffix("[]")) if at is not None else None
        fits = fits and field is not None and field.is_repeated == step.endswith("[]")
        at = field.message_type if field is not None else None
    if not fits or field.type != field.TYPE_STRING:
        raise MissingPermissionError(f"auth/permissions.py: {need.path!r} of {path} is no text of {descriptor.name}")


def _no_name(target: Target) -> RegistryError:
    """The error for a stream that begins without saying what it is about."""
    path = target.need.path
    return RegistryError(
        Reason.INVALID_RESOURCE_NAME,
        f"{path}: {shortened(target.resource)!r} is not a name of the form projects/{{project}}/…",
        violations=(Violation(path, "must be the name of something in a project"),),
    )


def scope_of_principal(principal: str) -> str:
    """Name of the project that a principal belongs to; empty for the registry."""
    account = ServiceAccountName.of_principal(principal)
    return f"projects/{account.project}" if account and account.project else ""


class Authorizer:
    """Judges calls. Safe from any thread, without waiting."""

    def __init__(self, authority: Authority) -> None:
        """`authority` is asked anew for each call."""
        self._authority = authority
        self.rights = authority.rights

    @property
    def version(self) -> int:
        """Rises with every change: what was judged under another one must be judged again."""
        return self._authority.version

    def judge(self, principal: Principal, targets: Iterable[Target]) -> Grant:
        """What of the first need the caller has; all of them are required.

        Raises: PROJECT_NOT_FOUND where no binding of the caller reaches, PERMISSION_MISSING.
        """
        rights = self.rights(principal)
        first: Grant | None = None
        for target in targets:
            grant = _judge(rights, principal.name, target)
            first = first or grant
        return first or EVERYTHING


def _judge(rights: Rights, caller: str, target: Target) -> Grant:
    permission, where, resource = target.need.permission, target.need.where, target.resource
    if where is Where.RESOURCE:
        project, model = place_of(resource)
        return rights.require(permission, project, model, resource)
    if where is Where.CALLER or (where is Where.OWN and resource in {"", caller}):
        return Grant(permission)
    if where is Where.WITHIN:
        project, _ = place_of(resource)
        if not project:
            raise _no_name(target)
        # `projects/-` stands for all that the caller may see, here or there.
        everywhere = resource == "projects/-"
        held = rights.has_anywhere(permission) if everywhere else rights.has_within(permission, project)
        project, resource = ("", "") if everywhere else (project, f"projects/{project}")
    elif where is Where.ANYWHERE:
        project, held = "", rights.has_anywhere(permission)
    else:
        resource = "" if where is Where.REGISTRY else scope_of_principal(resource)
        project, _ = place_of(resource)
        return rights.require(permission, project, "", resource)
    if not held:
        raise rights.refusal(permission, project, resource)
    return Grant(permission)
