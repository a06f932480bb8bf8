"""The two databases: a dump of one moment, and which bytes it names."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import psycopg
from sqlalchemy import make_url

from _backup.manifest import Named
from registry_grpc.server.settings import Settings

_BYTES = "SELECT key, sha256, size_bytes, state FROM blob WHERE state IN ('live', 'damaged', 'condemned')"


class NotEmptyError(Exception):
    """There is a registry where one should be restored."""


class ToolError(Exception):
    """pg_dump or pg_restore failed, or the database does not answer."""


class Database(Protocol):
    """One of them."""

    kind: str

    def dump(self, made: Path) -> list[Named]:
        """Write a dump into the directory; returns the bytes it names."""

    def require_empty(self) -> None:
        """Raises: NotEmptyError."""

    def load(self, made: Path) -> None:
        """Put the dump of the directory back."""


def database_of(settings: Settings) -> Database:
    """That of the settings."""
    url = settings.database.get_secret_value()
    return Sqlite(Path(make_url(url).database or "")) if url.startswith("sqlite") else Postgresql(url)


class Sqlite:
    """The file of an embedded server, which may be at work on it."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path

    def dump(self, made: Path) -> list[Named]:
        """Copy it through SQLite: a copy of the file alone could be of two moments."""
        with (
            closing(sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)) as live,
            closing(sqlite3.connect(made / "registry.db")) as copy,
        ):
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            return _named(copy.execute(_BYTES))

    def require_empty(self) -> None:
        """No file is there."""
        if self._path.exists():
            raise NotEmptyError(
                f"{self._path} is there; move it away, with its -wal and -shm, while nothing runs on it"
            )

    def load(self, made: Path) -> None:
        """Put the file where the server looks for it, whole or not at all."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".restoring")
        temporary.touch(mode=0o600)
        with closing(sqlite3.connect(made / "registry.db")) as copy, closing(sqlite3.connect(temporary)) as target:
            copy.backup(target)
            fault = target.execute("PRAGMA integrity_check").fetchone()[0]
            if fault != "ok":
                raise ToolError(f"{made / 'registry.db'} is damaged: {fault}")
        temporary.rename(self._path)


class Postgresql:
    """PostgreSQL, by its own tools."""

    kind = "postgresql"

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._about = parsed.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
        # Not on a command line, where everybody on the machine reads it.
        self._env = os.environ | ({"PGPASSWORD": str(parsed.password)} if parsed.password else {})
        self._url = parsed.set(drivername="postgresql").render_as_string(hide_password=False)

    def dump(self, made: Path) -> list[Named]:
        """One moment for both: the rows are read in the transaction whose snapshot pg_dump uses."""
        with self._connect() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            [(snapshot,)] = connection.execute("SELECT pg_export_snapshot()")
            named = _named(connection.execute(_BYTES))
            options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}"]
            self._run(["pg_dump", *options, f"--file={made / 'database.dump'}", f"--dbname={self._about}"])
        return named

    def require_empty(self) -> None:
        """No table is there."""
        with self._connect() as connection:
            [(tables,)] = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")
        if tables:
            raise NotEmptyError(f"the database has {tables} tables; restore into a new one (createdb)")

    def load(self, made: Path) -> None:
        """All of it in one transaction."""
        options = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]
        self._run(["pg_restore", *options, f"--dbname={self._about}", str(made / "database.dump")])

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(self._url)
        except psycopg.OperationalError as error:
            raise ToolError(str(error)) from None

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolError(f"{command[0]}: {done.stderr.strip()[-2000:]}")


def _named(rows: Iterable[tuple[str, str, int, str]]) -> list[Named]:
    # Projects that hold the same bytes may share an object.
    found: dict[str, Named] = {}
    for key, sha256, size_bytes, state in rows:
        needed = state == "live" or (key in found and found[key].needed)
        found[key] = Named(key, sha256, size_bytes, {}, needed)
    return list(found.values())
