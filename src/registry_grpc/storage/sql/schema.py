"""The schema's version: bring a database up to this program's, or say why not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import column, inspect, select, table, text
from sqlalchemy.exc import DBAPIError

from registry_grpc.storage.sql import grants, postgresql, sqlite
from registry_grpc.storage.sql.database import parse_url
from registry_grpc.storage.sql.faults import SchemaError, error_for, fault_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.config import Config
    from sqlalchemy import URL, Connection, Engine

T = TypeVar("T")

HEAD = "0015"
"""The revision this program knows; a test compares it with the newest file of `migrations/versions/`."""

_LOCK_KEY = 0x6D726567  # "mreg": one migration at a time, whichever replica starts it
_LIMITS = {"lock_timeout": "10s"}
_ALEMBIC = table("alembic_version", column("version_num"))
_CURRENT = select(_ALEMBIC.c.version_num)


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The schema of a database against this program's."""

    current: str
    """Empty for a database without a schema."""
    head: str

    @property
    def ok(self) -> bool:
        """Whether this program can work on it."""
        return self.current == self.head

    @property
    def advice(self) -> str:
        """What to do; empty when nothing."""
        if self.ok:
            return ""
        if self.current in {"", *known_revisions()}:
            found = self.current or "empty"
            return f"the database schema is {found}, this program needs {self.head}: run `mreg db upgrade`"
        return (
            f"the database schema {self.current} is newer than this program, which knows {self.head}: "
            "run the newer program, or restore a backup"
        )


def check(url: str) -> SchemaState:
    """The state of the database at `url`, also while a server has it open. Raises: DATABASE_UNAVAILABLE."""
    address = parse_url(url)
    if address.drivername == "sqlite" and not Path(address.database or "").exists():
        return SchemaState("", HEAD)
    return _reading(address, _state)


def upgrade(url: str, grant_to: str = "") -> tuple[str, str]:
    """Bring the schema at `url` up to `HEAD`; returns the revision before (empty: none) and after.

    In the same transaction the role `grant_to` gets the rights of a server, where it is named: never are there tables
    that servers cannot read.

    Raises: SchemaError for a newer schema; DATABASE_UNAVAILABLE; StoreInUseError.
    """

    def work(connection: Connection) -> tuple[str, str]:
        revisions = _upgrade(connection)
        if grant_to:
            grants.grant(connection, grant_to)
        return revisions

    return _writing(parse_url(url), work)


def require_head(connection: Connection) -> None:
    """Raises: SchemaError, saying what to do, unless the schema is this program's.

    Not inside a transaction, which PostgreSQL gives up when there is no schema at all.
    """
    try:
        state = _recorded(connection)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        # Whether there is the table is more work than reading it, and servers ask each second.
        state = _state(connection)
    if not state.ok:
        raise SchemaError(state.advice)


def known_revisions() -> tuple[str, ...]:
    """The schema's versions this program can upgrade from, newest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - a server on the right schema never needs Alembic

    scripts = ScriptDirectory.from_config(_config())
    return tuple(script.revision for script in scripts.walk_revisions())


def _state(connection: Connection) -> SchemaState:
    if not inspect(connection).has_table(_ALEMBIC.name):
        return SchemaState("", HEAD)
    return _recorded(connection)


def _recorded(connection: Connection) -> SchemaState:
    """Raises: DBAPIError without the table."""
    return SchemaState(connection.execute(_CURRENT).scalar() or "", HEAD)


def _upgrade(connection: Connection) -> tuple[str, str]:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    before = _state(connection)
    if before.ok:
        return before.current, HEAD
    if before.current not in {"", *known_revisions()}:
        raise SchemaError(before.advice)
    from alembic import command  # noqa: PLC0415 - see known_revisions

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise SchemaError(f"the upgrade would break references between tables, nothing was changed: {broken[:5]}")
    return before.current, HEAD


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415 - see known_revisions

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _reading(address: URL, work: Callable[[Connection], T]) -> T:
    if address.drivername != "sqlite":
        return _on(postgresql.engine_for(address, pool_size=1, session_limits=_LIMITS), work)
    return _on(sqlite.engine_for(address, sqlite.READER, pool_size=1), work)


def _writing(address: URL, work: Callable[[Connection], T]) -> T:
    if address.drivername != "sqlite":
        return _on(postgresql.engine_for(address, pool_size=1, session_limits=_LIMITS), work)
    lock = sqlite.lock_file(Path(address.database or ""))
    try:
        # A table that others reference is rebuilt by dropping it; the keys are checked afterwards, by `_upgrade`.
        return _on(sqlite.engine_for(address, (*sqlite.WRITER, "foreign_keys=OFF"), pool_size=1), work)
    finally:
        os.close(lock)


def _on(engine: Engine, work: Callable[[Connection], T]) -> T:
    """What `work` returns, in one transaction."""
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                value = work(connection)
                connection.commit()
                return value
            connection.exec_driver_sql("BEGIN")
            try:
                value = work(connection)
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")
            return value
    except Exception as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise error_for(fault) from error
    finally:
        engine.dispose()
