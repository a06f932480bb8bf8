"""Who used which version, by day."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from registry_grpc.domain.consumers import Consumer
from registry_grpc.storage.sql.models import require_model
from registry_grpc.storage.sql.tables import consumer_day as table
from registry_grpc.storage.sql.tables import model, version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from registry_grpc.domain.consumers import Counted
    from registry_grpc.domain.names import ModelName, VersionName
    from registry_grpc.storage.sql.session import Session

AT_ONCE = 500
_VERSIONS = select(version.c.uid, version.c.model_uid, version.c.number).where(
    version.c.uid.in_(bindparam("uids", expanding=True))
)
_FORGET = delete(table).where(table.c.model_uid == bindparam("of"))
_ROW = (table.c.model_uid, table.c.day, table.c.version_uid, table.c.principal, table.c.use)
_OLD = select(*_ROW).where(table.c.day < bindparam("before")).limit(bindparam("limit"))
_IS_OLD = select(table.c.day).where(table.c.day < bindparam("before")).limit(1)
_EXPIRE = delete(table).where(tuple_(*_ROW).in_(_OLD))


@cache
def _list(*, by_number: bool, from_start: bool) -> Select[Any]:
    statement = (
        select(table)
        .join(model, model.c.uid == table.c.model_uid)
        .where(
            model.c.project == bindparam("in_project"),
            model.c.id == bindparam("in_model"),
            table.c.day >= bindparam("first"),
            table.c.day <= bindparam("last"),
        )
    )
    if by_number:
        statement = statement.where(table.c.number == bindparam("with_number"))
    # Days and counts fall, the rest rises: a falling number is its negative rising.
    order = (-table.c.amount, table.c.principal, table.c.number, table.c.use)
    if not from_start:
        after = tuple_(
            bindparam("after_count"), bindparam("after_principal"), bindparam("after_number"), bindparam("after_use")
        )
        day = bindparam("after_day", type_=table.c.day.type)
        statement = statement.where((table.c.day < day) | ((table.c.day == day) & (tuple_(*order) > after)))
    return statement.order_by(table.c.day.desc(), *order).limit(bindparam("limit"))


class Consumers:
    """Implements `ports.deployments.Consumers`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session

    def add(self, counted: Sequence[Counted]) -> None:
        """See the port."""
        now = self._session.now
        # In one order, so that two replicas do not wait for each other.
        ordered = sorted(counted)
        for some in (ordered[at : at + AT_ONCE] for at in range(0, len(ordered), AT_ONCE)):
            found = self._session.all(_VERSIONS, {"uids": sorted({one.version_uid for one in some})})
            known = {row.uid: row for row in found}
            rows = [
                {
                    "model_uid": known[one.version_uid].model_uid,
                    "day": f"{now:%Y-%m-%d}",
                    "version_uid": one.version_uid,
                    "principal": one.principal,
                    "use": one.use,
                    "number": known[one.version_uid].number,
                    "amount": one.count,
                    "last_time": now,
                }
                for one in some
                if one.version_uid in known
            ]
            if rows:
                insert = upsert(table).values(rows)
                more = {"amount": table.c.amount + insert.excluded.amount, "last_time": insert.excluded.last_time}
                self._session.change(insert.on_conflict_do_update(index_elements=list(_ROW), set_=more), {})

    def list(
        self,
        model: ModelName,
        version: VersionName | None,
        *,
        first: date,
        last: date,
        after: tuple[str, int, str, int, str] | None,
        limit: int,
    ) -> Sequence[Consumer]:
        """See the port."""
        require_model(self._session, model)
        values: dict[str, Any] = {
            "in_project": model.project,
            "in_model": model.model,
            "first": first.isoformat(),
            "last": last.isoformat(),
            "limit": limit,
        }
        if version is not None:
            values["with_number"] = version.number
        if after is not None:
            day, count, principal, number, use = after
            values |= {"after_day": day, "after_count": -count, "after_principal": principal}
            values |= {"after_number": number, "after_use": use}
        return [
            Consumer(
                principal=row.principal,
                version=model.version(row.number),
                use=row.use,
                day=row.day,
                count=row.amount,
                last_time=row.last_time,
            )
            for row in self._session.all(_list(by_number=version is not None, from_start=after is None), values)
        ]

    def forget(self, model_uid: str) -> None:
        """See the port."""
        self._session.change(_FORGET, {"of": model_uid})

    def is_any_before(self, day: date) -> bool:
        """See the port."""
        return self._session.one(_IS_OLD, {"before": day.isoformat()}) is not None

    def expire(self, before: date, limit: int) -> int:
        """See the port."""
        return self._session.change(_EXPIRE, {"before": before.isoformat(), "limit": limit})
