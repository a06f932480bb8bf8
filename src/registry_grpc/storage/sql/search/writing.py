"""The rows of a version that is new, on PostgreSQL: three tables by one statement.

They are written while every other writer waits for the head of the log; a statement is a round trip. SQLite, in our own
process, gains nothing by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, bindparam, text

from registry_grpc.storage.sql.tables import version_metric, version_term

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Table

    from registry_grpc.domain.names import VersionName
    from registry_grpc.storage.sql.session import Session

    Rows = Sequence[Mapping[str, Any]]


_OWNER = {
    "version_uid": "CAST(:uid AS text)",
    "project": "CAST(:project AS text)",
    "model": "CAST(:model AS text)",
    "version_number": "CAST(:number AS bigint)",
}
"""Columns that say the same in all rows of a version."""


def _from_json(table: Table, name: str) -> str:
    types = {"idx": "integer", "number": "float8", "value": "float8"}
    types |= dict.fromkeys(("flag", "lowest", "highest"), "boolean")
    owner = {column: value for column, value in _OWNER.items() if column in table.c}
    columns = [column.name for column in table.c if column.name not in _OWNER]
    listed = ", ".join(f'"{column}"' for column in columns)
    typed = ", ".join(f'"{column}" {types.get(column, "text")}' for column in columns)
    return (
        f"INSERT INTO {table.name} ({', '.join(owner)}, {listed}) "  # noqa: S608 - names of our tables
        f"SELECT {', '.join(owner.values())}, {listed} FROM json_to_recordset(:{name}) AS row ({typed})"
    )


_ALL = text(
    f"WITH terms AS ({_from_json(version_term, 'terms')}), metrics AS ({_from_json(version_metric, 'metrics')}) "  # noqa: S608
    "INSERT INTO search_text (uid, kind, head, body, card) VALUES (:uid, 'version', :head, :body, :card)"
).bindparams(bindparam("terms", type_=JSON), bindparam("metrics", type_=JSON))


def insert_together(
    session: Session, uid: str, name: VersionName, rows: tuple[Rows, Rows], words: Mapping[str, str]
) -> None:
    """Insert terms and metrics, each row without its owner, and the words of a version."""
    terms, metrics = rows
    owner = {"uid": uid, "project": name.project, "model": name.model, "number": name.number}
    session.change(_ALL, {**owner, "terms": terms, "metrics": metrics, **words})
