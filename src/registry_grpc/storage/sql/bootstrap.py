"""The first rows of a registry: its identity, the head of its log, and the project `default`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, cast

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from registry_grpc.domain.access import RoleBinding
from registry_grpc.domain.access_names import RoleBindingName, RoleName
from registry_grpc.domain.calls import SYSTEM, Call
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.names import DEFAULT_PROJECT, ProjectName
from registry_grpc.domain.resources import Project
from registry_grpc.domain.roles import ADMIN
from registry_grpc.domain.stages import DEFAULT_STAGES
from registry_grpc.storage.sql.tables import log_head, registry

if TYPE_CHECKING:
    from registry_grpc.ports.store import Reader, Unit
    from registry_grpc.storage.sql.store import SqlStore
    from registry_grpc.storage.sql.unit import SqlReader

_UID = select(registry.c.registry_uid)
_REGISTRY = insert_or_skip(registry).on_conflict_do_nothing()
_LOG_HEAD = insert_or_skip(log_head).on_conflict_do_nothing()


def ensure_registry(store: SqlStore) -> str:
    """The registry's uid; makes the first rows when they are not there. Safe from several processes at once."""
    return store.read(_uid) or store.write(_set_up, Call(principal=SYSTEM, method="Registry.Bootstrap")).get()


def _uid(reader: Reader) -> str:
    row = cast("SqlReader", reader).session.one(_UID)
    return row.registry_uid if row else ""


def _set_up(unit: Unit) -> str:
    session = cast("SqlReader", unit).session
    session.change(_REGISTRY, {"id": 1, "registry_uid": str(uuid.uuid4()), "epoch": 1, "marked": False})
    session.change(_LOG_HEAD, {"id": 1, "revision": 0, "audit_size": 0})
    if not _has_default_project(unit):
        project = Project(
            uid=str(uuid.uuid4()),
            name=ProjectName(DEFAULT_PROJECT),
            stages=DEFAULT_STAGES,
            create_time=unit.now,
            update_time=unit.now,
            revision=unit.advance(str(ProjectName(DEFAULT_PROJECT))),
        )
        unit.projects.insert(project)
        unit.record(Action.CREATED, project)
        # Without an event, as in migration 0004: followers begin with a snapshot.
        unit.access.bindings.insert(_first_administrator(unit, project.revision))
    return _uid(unit)


def _first_administrator(unit: Unit, revision: int) -> RoleBinding:
    """Of whom the first token is; migration 0004 makes the same for a registry that is older."""
    return RoleBinding(
        uid=str(uuid.uuid4()),
        name=RoleBindingName("", "", "admin"),
        role=RoleName(ADMIN),
        members=("user:admin",),
        creator=SYSTEM.name,
        create_time=unit.now,
        update_time=unit.now,
        revision=revision,
    )


def _has_default_project(unit: Unit) -> bool:
    try:
        unit.projects.get(DEFAULT_PROJECT)
    except RegistryError as error:
        if error.reason is not Reason.PROJECT_NOT_FOUND:
            raise
        return False
    return True
