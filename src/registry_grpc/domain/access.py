"""Who may do what: roles, their bindings to members, service accounts; and what a caller may do with a permission."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from registry_grpc.domain.access_names import RoleBindingName, RoleName, ServiceAccountName
from registry_grpc.domain.digests import etag_of
from registry_grpc.domain.errors import PolicyError, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MAX_MEMBERS = 256
MAX_PERMISSIONS = 200
MAX_CERTIFICATE_NAMES = 16
MAX_CONDITIONS = 16


@dataclass(frozen=True, slots=True)
class Condition:
    """Where a binding holds."""

    stages: tuple[str, ...] = ()
    """Stages it may move versions to, and out of when they are protected; empty for all."""
    read_only_tags: Mapping[str, str] = field(default_factory=dict)
    """Resources that carry one of these tags with this value may be read and not changed."""

    def allows(self, stages: Collection[str], tags: Iterable[Mapping[str, str]]) -> bool:
        """Whether a call that touches these stages, and changes resources with these tags, is within it."""
        if self.stages and not set(stages) <= set(self.stages):
            return False
        return not any(one.get(key) == value for one in tags for key, value in self.read_only_tags.items())

    def __bool__(self) -> bool:
        """Whether it limits anything."""
        return bool(self.stages or self.read_only_tags)


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission that the edge found a caller to have on what a call names; use cases hold it to its conditions."""

    permission: str = ""
    conditions: tuple[Condition, ...] = ()
    """One of them must be met; without any the permission is unconditional."""

    def require(
        self, resource: object, *, stages: Collection[str] = (), tags: Iterable[Mapping[str, str]] = ()
    ) -> None:
        """Refuse what no binding permits.

        `stages` are those a call moves a version to, and the protected one it moves it out of; `tags` those of each
        resource it changes, and of its model.

        Raises: PERMISSION_MISSING.
        """
        carried = list(tags)
        if not self.conditions or any(condition.allows(stages, carried) for condition in self.conditions):
            return
        moved = f" for stage {', '.join(repr(stage) for stage in stages)}" if stages else ""
        raise PolicyError(
            Reason.PERMISSION_MISSING,
            f"you have {self.permission} on {resource} only under conditions, and they are not met{moved}; "
            "`mreg whoami` shows your bindings",
            permission=self.permission,
            resource=resource,
        )


EVERYTHING = Grant()
"""Of the system itself, and where nothing is limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A named set of permissions."""

    uid: str
    """Empty for a predefined one."""
    name: RoleName
    display_name: str = ""
    description: str = ""
    permissions: tuple[str, ...] = ()
    """Sorted."""
    create_time: datetime | None = None
    """None for a predefined one, as the next."""
    update_time: datetime | None = None
    revision: int = 0

    @property
    def predefined(self) -> bool:
        """Whether it is part of the program."""
        return not self.uid

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleBinding:
    """Members have a role on a scope and on everything below it."""

    uid: str
    name: RoleBindingName
    role: RoleName
    members: tuple[str, ...]
    condition: Condition = field(default_factory=Condition)
    description: str = ""
    creator: str = ""
    create_time: datetime
    update_time: datetime
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A caller that is a program."""

    uid: str
    name: ServiceAccountName
    display_name: str = ""
    description: str = ""
    disabled: bool = False
    certificate_names: tuple[str, ...] = ()
    """Each `uri:{URI}` or `dns:{name}`; unique in the registry."""
    creator: str = ""
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None = None
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)

    @property
    def active(self) -> bool:
        """Whether it may come in."""
        return not self.disabled and self.delete_time is None
