"""Custom roles and the bindings of roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from registry_grpc.domain.access import Role, RoleBinding
from registry_grpc.domain.access_names import RoleBindingName, RoleName
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.storage.sql.accounts import ServiceAccounts
from registry_grpc.storage.sql.tables import registry, role
from registry_grpc.storage.sql.tables import role_binding as table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.access_names import Scope
    from registry_grpc.storage.sql.session import Record, Session

_LOCK = select(registry.c.id).with_for_update()
_ROLE = select(role).where(role.c.id == bindparam("role"))
_ROLES = select(role).where(role.c.id > bindparam("after")).order_by(role.c.id).limit(bindparam("limit"))
_ROLE_INSERT = insert_or_skip(role).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_ROLE_UPDATE = update(role).where(role.c.id == bindparam("key"))
_ROLE_DELETE = delete(role).where(role.c.id == bindparam("key"))
_PLACE = (table.c.project == bindparam("in_project")) & (table.c.model == bindparam("in_model"))
_NAMED = _PLACE & (table.c.id == bindparam("with_id"))
_GET = select(table).where(_NAMED)
_LIST = select(table).where(_PLACE, table.c.id > bindparam("after")).order_by(table.c.id).limit(bindparam("limit"))
_ORDER = (table.c.project, table.c.model, table.c.id)
_ALL = (
    select(table)
    .where(tuple_(*_ORDER) > tuple_(bindparam("after_project"), bindparam("after_model"), bindparam("after_id")))
    .order_by(*_ORDER)
    .limit(bindparam("limit"))
)
_FIRST = select(table).order_by(*_ORDER).limit(bindparam("limit"))
_OF_ROLE = select(table).where(table.c.role == bindparam("of_role")).order_by(*_ORDER).limit(bindparam("limit"))
_OF_PROJECT = select(table).where(table.c.project == bindparam("in_project")).order_by(*_ORDER)
_OF_MODEL = select(table).where(_PLACE).order_by(*_ORDER)
_INSERT = insert_or_skip(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_UPDATE = update(table).where(_NAMED)
_DELETE = delete(table).where(_NAMED)


class Access:
    """Implements `ports.access.Access`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session
        self.roles = Roles(session)
        self.bindings = RoleBindings(session)
        self.accounts = ServiceAccounts(session)

    def lock(self) -> None:
        """See the port."""
        self._session.lock(_LOCK, {})


class Roles:
    """Implements `ports.access.Roles`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: RoleName) -> Role | None:
        """See the port."""
        row = self._session.one(_ROLE, {"role": name.role})
        return _role(row) if row else None

    def list(self, *, after: str, limit: int) -> Sequence[Role]:
        """See the port."""
        return [_role(row) for row in self._session.all(_ROLES, {"after": after, "limit": limit})]

    def insert(self, one: Role) -> None:
        """See the port."""
        if self._session.stamp(_ROLE_INSERT, _role_values(one)) != 1:
            raise taken(one.name)

    def update(self, one: Role) -> None:
        """See the port."""
        self._session.replace(_ROLE_UPDATE, {"key": one.name.role, **_role_values(one)})

    def delete(self, name: RoleName) -> None:
        """See the port."""
        self._session.replace(_ROLE_DELETE, {"key": name.role})


class RoleBindings:
    """Implements `ports.access.RoleBindings`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: RoleBindingName) -> RoleBinding | None:
        """See the port."""
        row = self._session.one(_GET, _key(name))
        return _binding(row) if row else None

    def list(self, scope: Scope, *, after: str, limit: int) -> Sequence[RoleBinding]:
        """See the port."""
        return self._found(_LIST, **_place(scope), after=after, limit=limit)

    def all(self, *, after: tuple[str, str, str], limit: int) -> Sequence[RoleBinding]:
        """See the port."""
        project, model, binding_id = after
        if not any(after):
            return self._found(_FIRST, limit=limit)
        return self._found(_ALL, after_project=project, after_model=model, after_id=binding_id, limit=limit)

    def of_role(self, name: RoleName, limit: int) -> Sequence[RoleBinding]:
        """See the port."""
        return self._found(_OF_ROLE, of_role=name.role, limit=limit)

    def below(self, scope: Scope) -> Sequence[RoleBinding]:
        """See the port."""
        return self._found(_OF_MODEL if scope.model else _OF_PROJECT, **_place(scope))

    def _found(self, statement: Any, **values: object) -> Sequence[RoleBinding]:  # noqa: ANN401 - any statement
        return [_binding(row) for row in self._session.all(statement, values)]

    def insert(self, binding: RoleBinding) -> None:
        """See the port."""
        if self._session.stamp(_INSERT, _values(binding)) != 1:
            raise taken(binding.name)

    def update(self, binding: RoleBinding) -> None:
        """See the port."""
        self._session.replace(_UPDATE, {**_key(binding.name), **_values(binding)})

    def delete(self, name: RoleBindingName) -> None:
        """See the port."""
        self._session.replace(_DELETE, _key(name))


def taken(name: object) -> RegistryError:
    """The error for an id that is not free."""
    return RegistryError(Reason.RESOURCE_EXISTS, f"{name} exists already; choose another id", resource=name)


def _role(row: Record) -> Role:
    return Role(
        uid=row.uid,
        name=RoleName(row.id),
        display_name=row.display_name,
        description=row.description,
        permissions=row.permissions,
        create_time=row.create_time,
        update_time=row.update_time,
        revision=row.revision,
    )


def _role_values(one: Role) -> dict[str, Any]:
    return {
        "id": one.name.role,
        "uid": one.uid,
        "display_name": one.display_name,
        "description": one.description,
        "permissions": one.permissions,
        "create_time": one.create_time,
        "update_time": one.update_time,
        "revision": one.revision,
    }


def _place(scope: Scope) -> dict[str, str]:
    return {"in_project": scope.project, "in_model": scope.model}


def _key(name: RoleBindingName) -> dict[str, str]:
    return {**_place(name.scope), "with_id": name.id}


def _binding(row: Record) -> RoleBinding:
    return RoleBinding(
        uid=row.uid,
        name=RoleBindingName(row.project, row.model, row.id),
        role=RoleName(row.role),
        members=row.members,
        condition=row.condition,
        description=row.description,
        creator=row.creator,
        create_time=row.create_time,
        update_time=row.update_time,
        revision=row.revision,
    )


def _values(binding: RoleBinding) -> dict[str, Any]:
    return {
        "project": binding.name.project,
        "model": binding.name.model,
        "id": binding.name.id,
        "uid": binding.uid,
        "role": binding.role.role,
        "members": binding.members,
        "condition": binding.condition,
        "description": binding.description,
        "creator": binding.creator,
        "create_time": binding.create_time,
        "update_time": binding.update_time,
        "revision": binding.revision,
    }
