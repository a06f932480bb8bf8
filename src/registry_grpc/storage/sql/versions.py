"""Versions, read with their aliases in one query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, false, func, insert, select, tuple_, update

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ModelName, VersionName
from registry_grpc.domain.resources import VersionState
from registry_grpc.domain.search import ANYTHING
from registry_grpc.storage.sql.lineage.rows import forget_lineage, index_lineage
from registry_grpc.storage.sql.models import require_model
from registry_grpc.storage.sql.projects import live_project
from registry_grpc.storage.sql.search.compiling import version_where
from registry_grpc.storage.sql.search.indexing import forget_version, index_version
from registry_grpc.storage.sql.tables import model, pointer, stage
from registry_grpc.storage.sql.tables import stage_assignment as arrival
from registry_grpc.storage.sql.tables import version as table
from registry_grpc.storage.sql.version_lists import ALL, LIVE, NEWEST, OF_MODEL, list_of_model
from registry_grpc.storage.sql.version_rows import to_values, to_version

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from registry_grpc.domain.filters.conditions import Condition
    from registry_grpc.domain.filters.tree import Tree
    from registry_grpc.domain.resources import Version
    from registry_grpc.storage.sql.session import Record, Session

_FIND_AT_ONCE = 500

_GET = ALL.where(
    table.c.project == bindparam("project"),
    table.c.model == bindparam("model"),
    table.c.number == bindparam("number"),
    live_project(bindparam("project")),
)
_FIND = ALL.where(
    tuple_(table.c.project, table.c.model, table.c.number).in_(bindparam("names", expanding=True)),
    live_project(table.c.project),
)
_OF_LIVE_MODEL = table.c.model_uid.in_(select(model.c.uid).where(model.c.delete_time.is_(None), ~model.c.buried))
_NEWEST_READY = OF_MODEL.where(LIVE, table.c.state == VersionState.READY).order_by(NEWEST).limit(1)
_ARRIVAL = and_(arrival.c.version_uid == table.c.uid, arrival.c.stage == bindparam("in_stage"))
_NEWEST_HOLDER = (
    OF_MODEL.join(arrival, _ARRIVAL, isouter=True)
    .where(LIVE, table.c.stage == bindparam("in_stage"))
    .order_by(func.coalesce(arrival.c.revision, 0).desc(), func.coalesce(arrival.c.idx, 0).desc(), NEWEST)
    .limit(1)
)
_BY_DIGEST = (
    OF_MODEL.where(LIVE, table.c.manifest_digest == bindparam("digest"), table.c.manifest_digest != "")
    .order_by(NEWEST)
    .limit(1)
)
_EXPIRED = (
    # One in a deleted model cannot be deleted, and must not keep others from their turn.
    ALL.where(LIVE, _OF_LIVE_MODEL, table.c.state == VersionState.DRAFT, table.c.expire_time <= bindparam("now"))
    .order_by(table.c.expire_time)
    .limit(bindparam("limit"))
)
_LABEL_TAKEN = select(table.c.number).where(
    table.c.model_uid == bindparam("model_uid"),
    table.c.version_label == bindparam("label"),
    table.c.uid != bindparam("uid"),
)

_HELD = and_(table.c.project == bindparam("project"), table.c.stage != "", LIVE)
_IN_USE = (
    select(table.c.stage, func.min(table.c.model).label("model"))
    .where(_HELD)
    .group_by(table.c.stage)
    .order_by(table.c.stage)
)
_HOLDER = (
    select(table.c.number)
    .where(_HELD, table.c.stage == bindparam("in_stage"), table.c.model == bindparam("in_model"))
    .order_by(NEWEST)
    .limit(1)
)
_MULTIPLY_HELD = (
    select(table.c.stage, table.c.model)
    .where(_HELD)
    .group_by(table.c.stage, table.c.model)
    .having(func.count() > 1)
    .order_by(table.c.stage, table.c.model)
)
_IN_STAGES = (
    ALL.where(
        LIVE,
        _OF_LIVE_MODEL,
        table.c.project == bindparam("project"),
        table.c.stage.in_(bindparam("stages", expanding=True)),
    )
    .order_by(table.c.model, table.c.number)
    .limit(bindparam("limit"))
)
_COUNT_LIVE = select(func.count()).where(table.c.model_uid == bindparam("model_uid"), LIVE)
_PURGEABLE = ALL.where(table.c.purge_time <= bindparam("now")).order_by(table.c.purge_time).limit(bindparam("limit"))
_BY_UID = ALL.where(table.c.uid == bindparam("of"))
_POINTERS_DELETE = delete(pointer).where(pointer.c.version_uid == bindparam("of"))
_DELETE = delete(table).where(table.c.uid == bindparam("of"))
_SET_EXCLUSIVE = update(table).where(table.c.project == bindparam("in_project"), table.c.stage == bindparam("in_stage"))

# Read when the row is written, which is after `advance`: no project can change its stages in between.
_EXCLUSIVE = func.coalesce(
    select(stage.c.exclusive)
    .where(stage.c.project == bindparam("in_project"), stage.c.id == bindparam("in_stage"))
    .scalar_subquery(),
    false(),
)
_INSERT = insert(table).values(stage_exclusive=_EXCLUSIVE)
_UPDATE = update(table).where(table.c.uid == bindparam("key")).values(stage_exclusive=_EXCLUSIVE)


class Versions:
    """Implements `ports.repositories.Versions`."""

    def __init__(self, session: Session) -> None:
        """Reads and writes through `session`."""
        self._session = session
        self._read: dict[str, Version] = {}
        """As they are in this transaction: what does not change is not indexed anew."""

    def get(self, name: VersionName) -> Version:
        """See the port."""
        row = self._session.one(_GET, {"project": name.project, "model": name.model, "number": name.number})
        if row is None:
            require_model(self._session, name.parent)
            raise _version_not_found(name)
        return self._made(row)

    def find(self, names: Sequence[VersionName]) -> Sequence[Version]:
        """See the port."""
        wanted = [(name.project, name.model, name.number) for name in names]
        found: list[Version] = []
        for start in range(0, len(wanted), _FIND_AT_ONCE):
            rows = self._session.all(_FIND, {"names": wanted[start : start + _FIND_AT_ONCE]})
            found += map(self._made, rows)
        return found

    def list(  # noqa: PLR0913 - what a list is narrowed by
        self,
        model_uid: str,
        *,
        after: int,
        limit: int,
        descending: bool = True,
        show_deleted: bool = False,
        states: Collection[VersionState] = (),
        stage: str = "",
        conditions: Tree[Condition] = ANYTHING,
    ) -> Sequence[Version]:
        """See the port."""
        statement = list_of_model(
            from_start=not after,
            descending=descending,
            show_deleted=show_deleted,
            by_state=bool(states),
            by_stage=bool(stage),
        )
        if conditions != ANYTHING:
            statement = statement.where(version_where(conditions))
        values = {"model_uid": model_uid, "after": after, "limit": limit, "states": list(states), "in_stage": stage}
        return [to_version(row) for row in self._session.all(statement, values)]

    def insert(self, version: Version) -> None:
        """See the port."""
        self._require_free_label(version)
        index_version(self._session, version, is_new=True)
        index_lineage(self._session, version, is_new=True)
        if version.stage:  # none that is new; whether its stage is exclusive is a question to the database
            self._session.stamp(_INSERT, _written(version))
        else:
            self._session.add_stamped(table, {**to_values(version), "stage_exclusive": False})
        self._read[version.uid] = version

    def update(self, version: Version) -> None:
        """See the port."""
        self._require_free_label(version)
        self._session.replace(_UPDATE, {"key": version.uid, **_written(version)})
        index_version(self._session, version, before=self._read.get(version.uid))
        index_lineage(self._session, version, before=self._read.get(version.uid))
        self._read[version.uid] = version

    def newest_ready(self, model_uid: str) -> Version | None:
        """See the port."""
        row = self._session.one(_NEWEST_READY, {"model_uid": model_uid})
        return self._made(row) if row else None

    def newest_holder(self, model_uid: str, stage: str) -> Version | None:
        """See the port."""
        row = self._session.one(_NEWEST_HOLDER, {"model_uid": model_uid, "in_stage": stage})
        return self._made(row) if row else None

    def by_manifest_digest(self, model_uid: str, manifest_digest: str) -> Version | None:
        """See the port."""
        row = self._session.one(_BY_DIGEST, {"model_uid": model_uid, "digest": manifest_digest})
        return self._made(row) if row else None

    def stages_in_use(self, project: str) -> Sequence[tuple[str, VersionName]]:
        """See the port."""
        used = []
        for row in self._session.all(_IN_USE, {"project": project}):
            values = {"project": project, "in_stage": row.stage, "in_model": row.model}
            holder = self._session.one(_HOLDER, values)
            if holder is not None:
                used.append((row.stage, VersionName(project, row.model, holder.number)))
        return used

    def multiply_held(self, project: str) -> Sequence[tuple[str, ModelName]]:
        """See the port."""
        rows = self._session.all(_MULTIPLY_HELD, {"project": project})
        return [(row.stage, ModelName(project, row.model)) for row in rows]

    def set_stage_exclusive(self, project: str, stage: str, *, exclusive: bool) -> None:
        """See the port."""
        values = {"in_project": project, "in_stage": stage, "stage_exclusive": exclusive}
        self._session.change(_SET_EXCLUSIVE, values)

    def expired_drafts(self, limit: int) -> Sequence[Version]:
        """See the port."""
        rows = self._session.all(_EXPIRED, {"now": self._session.now, "limit": limit})
        return [self._made(row) for row in rows]

    def in_stages(self, project: str, stages: Collection[str], limit: int) -> Sequence[Version]:
        """See the port."""
        rows = self._session.all(_IN_STAGES, {"project": project, "stages": list(stages), "limit": limit})
        return [self._made(row) for row in rows]

    def count_live(self, model_uid: str) -> int:
        """See the port."""
        row = self._session.one(_COUNT_LIVE, {"model_uid": model_uid})
        return int(row[0]) if row else 0

    def purgeable(self, limit: int) -> Sequence[Version]:
        """See the port."""
        rows = self._session.all(_PURGEABLE, {"now": self._session.now, "limit": limit})
        return [self._made(row) for row in rows]

    def by_uid(self, uid: str) -> Version | None:
        """See the port."""
        row = self._session.one(_BY_UID, {"of": uid})
        return self._made(row) if row else None

    def delete(self, uid: str) -> None:
        """See the port."""
        self._session.stamp(_POINTERS_DELETE, {"of": uid})
        self._session.stamp(_DELETE, {"of": uid})
        forget_version(self._session, uid)
        forget_lineage(self._session, uid)

    def _made(self, row: Record) -> Version:
        version = to_version(row)
        if self._session.writable:
            self._read[version.uid] = version
        return version

    def _require_free_label(self, version: Version) -> None:
        """Look before writing: the model is locked, and a broken constraint would end the transaction."""
        if not version.version_label:
            return
        values = {"model_uid": version.model_uid, "label": version.version_label, "uid": version.uid}
        row = self._session.one(_LABEL_TAKEN, values)
        if row is not None:
            holder = version.name.parent.version(row.number)
            raise RegistryError(
                Reason.RESOURCE_EXISTS,
                f"{holder} has the label {version.version_label!r} already; choose another one",
                resource=holder,
                versionLabel=version.version_label,
            )


def _written(version: Version) -> dict[str, Any]:
    return {**to_values(version), "in_project": version.name.project, "in_stage": version.stage}


def _version_not_found(name: VersionName) -> RegistryError:
    return RegistryError(
        Reason.VERSION_NOT_FOUND,
        f"{name} does not exist; list the versions of {name.parent}",
        resource=name,
    )
