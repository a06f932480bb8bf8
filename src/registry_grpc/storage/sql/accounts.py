"""Service accounts and the names they have in certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from registry_grpc.domain.access import ServiceAccount
from registry_grpc.domain.access_names import ServiceAccountName
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.storage.sql.tables import account_certificate as certificate
from registry_grpc.storage.sql.tables import service_account as table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from registry_grpc.storage.sql.session import Record, Session

_NAMED = (table.c.project == bindparam("in_project")) & (table.c.id == bindparam("with_id"))
_GET = select(table).where(_NAMED)
_LIST = (
    select(table)
    .where(table.c.project == bindparam("in_project"), table.c.id > bindparam("after"), table.c.delete_time.is_(None))
    .order_by(table.c.id)
    .limit(bindparam("limit"))
)
_ALL = (
    select(table)
    .where(tuple_(table.c.project, table.c.id) > tuple_(bindparam("after_project"), bindparam("after_id")))
    .order_by(table.c.project, table.c.id)
    .limit(bindparam("limit"))
)
_WITH_CERTIFICATE = (
    select(table)
    .join(certificate, (certificate.c.project == table.c.project) & (certificate.c.id == table.c.id))
    .where(certificate.c.name.in_(bindparam("names", expanding=True)))
    .order_by(table.c.project, table.c.id)
)
_INSERT = insert_or_skip(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_UPDATE = update(table).where(_NAMED)
_DELETE = delete(table).where(_NAMED)
_DROP_NAMES = delete(certificate).where(
    certificate.c.project == bindparam("in_project"), certificate.c.id == bindparam("with_id")
)
_ADD_NAMES = insert(certificate)


class ServiceAccounts:
    """Implements `ports.access.ServiceAccounts`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: ServiceAccountName) -> ServiceAccount | None:
        """See the port."""
        row = self._session.one(_GET, _key(name))
        return _account(row) if row else None

    def list(self, project: str, *, after: str, limit: int) -> Sequence[ServiceAccount]:
        """See the port."""
        values = {"in_project": project, "after": after, "limit": limit}
        return [_account(row) for row in self._session.all(_LIST, values)]

    def all(self, *, after: tuple[str, str], limit: int) -> Sequence[ServiceAccount]:
        """See the port."""
        values = {"after_project": after[0], "after_id": after[1], "limit": limit}
        return [_account(row) for row in self._session.all(_ALL, values)]

    def with_certificate(self, names: Collection[str]) -> Sequence[ServiceAccount]:
        """See the port."""
        return [_account(row) for row in self._session.all(_WITH_CERTIFICATE, {"names": list(names)})]

    def insert(self, account: ServiceAccount) -> None:
        """See the port."""
        if self._session.stamp(_INSERT, _values(account)) != 1:
            raise self._taken(account.name)
        self._put_names(account)

    def update(self, account: ServiceAccount) -> None:
        """See the port."""
        self._session.replace(_UPDATE, {**_key(account.name), **_values(account)})
        self._session.change(_DROP_NAMES, _key(account.name))
        self._put_names(account)

    def delete(self, name: ServiceAccountName) -> None:
        """See the port."""
        self._session.change(_DROP_NAMES, _key(name))
        self._session.replace(_DELETE, _key(name))

    def _put_names(self, account: ServiceAccount) -> None:
        """A deleted account gives its names back."""
        if account.delete_time is None and account.certificate_names:
            place = {"project": account.name.project, "id": account.name.id}
            self._session.change(_ADD_NAMES, [{"name": name, **place} for name in account.certificate_names])

    def _taken(self, name: ServiceAccountName) -> RegistryError:
        row = self._session.one(_GET, _key(name))
        deleted = row is not None and row.delete_time is not None
        why = "was deleted, and the id of an account is never used again" if deleted else "exists already"
        return RegistryError(
            Reason.RESOURCE_EXISTS,
            f"{name} {why}; choose another id",
            resource=name,
            softDeleted="true" if deleted else None,
        )


def _key(name: ServiceAccountName) -> dict[str, str]:
    return {"in_project": name.project, "with_id": name.id}


def _account(row: Record) -> ServiceAccount:
    return ServiceAccount(
        uid=row.uid,
        name=ServiceAccountName(row.project, row.id),
        display_name=row.display_name,
        description=row.description,
        disabled=row.disabled,
        certificate_names=row.certificate_names,
        creator=row.creator,
        create_time=row.create_time,
        update_time=row.update_time,
        delete_time=row.delete_time,
        revision=row.revision,
    )


def _values(account: ServiceAccount) -> dict[str, Any]:
    return {
        "project": account.name.project,
        "id": account.name.id,
        "uid": account.uid,
        "display_name": account.display_name,
        "description": account.description,
        "disabled": account.disabled,
        "certificate_names": account.certificate_names,
        "creator": account.creator,
        "create_time": account.create_time,
        "update_time": account.update_time,
        "delete_time": account.delete_time,
        "revision": account.revision,
    }
