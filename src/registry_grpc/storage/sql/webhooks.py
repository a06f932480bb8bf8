"""Webhooks. Their progress is in the same rows and moves without a revision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.webhook_names import WebhookName
from registry_grpc.domain.webhooks import DeliveryState, Progress, Webhook
from registry_grpc.storage.sql.tables import delivery
from registry_grpc.storage.sql.tables import webhook as table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from registry_grpc.storage.sql.session import Record, Session

_NAMED = (table.c.project == bindparam("in_project")) & (table.c.id == bindparam("with_id"))
_GET = select(table).where(_NAMED)
_UID = table.c.uid == bindparam("with_uid")
_BY_UID = select(table).where(_UID)
_LIST = (
    select(table)
    .where(table.c.project == bindparam("in_project"), table.c.id > bindparam("after"))
    .order_by(table.c.id)
    .limit(bindparam("limit"))
)
_COUNT = select(func.count().label("many")).where(table.c.project == bindparam("in_project"))
_BEHIND = select(table).where(~table.c.disabled, table.c.cursor < bindparam("head")).order_by(table.c.cursor)
_OLDEST = select(func.min(table.c.cursor).label("cursor")).where(~table.c.disabled)
_ADVANCE = update(table).where(_UID, table.c.cursor == bindparam("before"), ~table.c.disabled)
_ADVANCE_ALL = update(table).where(
    table.c.uid.in_(bindparam("uids", expanding=True)), table.c.cursor == bindparam("before"), ~table.c.disabled
)
_SUCCESS = update(table).where(_UID).values(last_success_time=bindparam("time"), last_error="")
_FAILURE = update(table).where(_UID).values(last_error=bindparam("error"))
_INSERT = insert_or_skip(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_UPDATE = update(table).where(_UID)
_DELETE = delete(table).where(_UID)
_DELETE_DELIVERIES = delete(delivery).where(delivery.c.webhook_uid == bindparam("with_uid"))
_ALL_OF = select(table).where(table.c.project == bindparam("in_project")).order_by(table.c.id).with_for_update()
_UNDONE = (
    select(delivery.c.webhook_uid, delivery.c.state, func.count().label("many"))
    .where(
        delivery.c.webhook_uid.in_(bindparam("uids", expanding=True)),
        # Spelled out as in the indexes, or a planner would not know that they apply.
        (delivery.c.state == literal_column("'pending'")) | (delivery.c.state == literal_column("'dead'")),
    )
    .group_by(delivery.c.webhook_uid, delivery.c.state)
)


class Webhooks:
    """Implements `ports.webhooks.Webhooks`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def get(self, name: WebhookName) -> Webhook | None:
        """See the port."""
        return self._counted(self._session.one(_GET, _key(name)))

    def by_uid(self, uid: str) -> Webhook | None:
        """See the port."""
        return self._counted(self._session.one(_BY_UID, {"with_uid": uid}))

    def lock(self, name: WebhookName) -> Webhook | None:
        """See the port."""
        return self._counted(self._session.lock(_GET.with_for_update(), _key(name)))

    def lock_uid(self, uid: str) -> Webhook | None:
        """See the port."""
        row = self._session.lock(_BY_UID.with_for_update(), {"with_uid": uid})
        return _webhook(row) if row else None

    def list(self, project: str, *, after: str, limit: int) -> Sequence[Webhook]:
        """See the port."""
        return self._with_counts(self._session.all(_LIST, {"in_project": project, "after": after, "limit": limit}))

    def count(self, project: str) -> int:
        """See the port."""
        row = self._session.one(_COUNT, {"in_project": project})
        return int(row.many) if row else 0

    def insert(self, webhook: Webhook) -> None:
        """See the port."""
        progress = {"cursor": webhook.revision, "last_success_time": None, "last_error": ""}
        if self._session.stamp(_INSERT, {**_values(webhook), **progress}) != 1:
            raise RegistryError(
                Reason.RESOURCE_EXISTS, f"{webhook.name} exists already; choose another id", resource=webhook.name
            )

    def update(self, webhook: Webhook) -> None:
        """See the port."""
        self._session.replace(_UPDATE, {"with_uid": webhook.uid, **_values(webhook)})

    def delete(self, uid: str) -> None:
        """See the port."""
        self._session.change(_DELETE_DELIVERIES, {"with_uid": uid})
        self._session.replace(_DELETE, {"with_uid": uid})

    def delete_all(self, project: str) -> Sequence[Webhook]:
        """See the port."""
        gone = [_webhook(row) for row in self._session.lock_rows(_ALL_OF, {"in_project": project})]
        for each in gone:
            self.delete(each.uid)
        return gone

    def behind(self, head: int) -> Sequence[Webhook]:
        """See the port."""
        return [_webhook(row) for row in self._session.all(_BEHIND, {"head": head})]

    def oldest_cursor(self) -> int | None:
        """See the port."""
        row = self._session.one(_OLDEST)
        return None if row is None or row.cursor is None else int(row.cursor)

    def advance(self, uid: str, before: int, after: int) -> bool:
        """See the port."""
        return self._session.change(_ADVANCE, {"with_uid": uid, "before": before, "cursor": after}) == 1

    def advance_all(self, uids: Collection[str], before: int, after: int) -> None:
        """See the port."""
        self._session.change(_ADVANCE_ALL, {"uids": sorted(uids), "before": before, "cursor": after})

    def note(self, uid: str, *, success_time: datetime | None, error: str) -> None:
        """See the port."""
        if success_time is None:
            self._session.change(_FAILURE, {"with_uid": uid, "error": error})
        else:
            self._session.change(_SUCCESS, {"with_uid": uid, "time": success_time})

    def _counted(self, row: Record | None) -> Webhook | None:
        return self._with_counts([row])[0] if row else None

    def _with_counts(self, rows: Sequence[Record]) -> Sequence[Webhook]:
        found = [_webhook(row) for row in rows]
        if not found:
            return found
        undone = {
            (row.webhook_uid, row.state): row.many
            for row in self._session.all(_UNDONE, {"uids": [each.uid for each in found]})
        }
        return [
            replace(
                each,
                progress=replace(
                    each.progress,
                    pending=undone.get((each.uid, DeliveryState.PENDING), 0),
                    dead=undone.get((each.uid, DeliveryState.DEAD), 0),
                ),
            )
            for each in found
        ]


def _key(name: WebhookName) -> dict[str, str]:
    return {"in_project": name.project, "with_id": name.webhook}


def _webhook(row: Record) -> Webhook:
    return Webhook(
        uid=row.uid,
        name=WebhookName(row.project, row.id),
        display_name=row.display_name,
        url=row.url,
        models=row.models,
        resource_types=row.resource_types,
        actions=row.actions,
        stages=row.stages,
        disabled=row.disabled,
        disable_reason=row.disable_reason,
        secret=bytes(row.secret),
        old_secret=bytes(row.old_secret),
        old_secret_expire_time=row.old_secret_expire_time,
        creator=row.creator,
        create_time=row.create_time,
        update_time=row.update_time,
        revision=row.revision,
        progress=Progress(cursor=row.cursor, last_success_time=row.last_success_time, last_error=row.last_error),
    )


def _values(webhook: Webhook) -> dict[str, Any]:
    return {
        "project": webhook.name.project,
        "id": webhook.name.webhook,
        "uid": webhook.uid,
        "display_name": webhook.display_name,
        "url": webhook.url,
        "models": webhook.models,
        "resource_types": webhook.resource_types,
        "actions": webhook.actions,
        "stages": webhook.stages,
        "disabled": webhook.disabled,
        "disable_reason": webhook.disable_reason,
        "secret": webhook.secret,
        "old_secret": webhook.old_secret,
        "old_secret_expire_time": webhook.old_secret_expire_time,
        "creator": webhook.creator,
        "create_time": webhook.create_time,
        "update_time": webhook.update_time,
        "revision": webhook.revision,
    }
