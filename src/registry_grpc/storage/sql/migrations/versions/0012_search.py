"""Typed rows of metrics, parameters, tags, packages, data and signatures to search by, and the words of texts.

What is there already is indexed by a job of the leader, which finds what has no row in search_text.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# Lexemes are taken as they are: the parser of PostgreSQL would part words differently than SQLite does.
LEXEMES = "array_to_tsvector(array_remove(string_to_array(head || ' ' || body || ' ' || card, ' '), ''))"
NAMES = ("project", "name", "dataset", "dataset_version", "slice", "direction")
FTS5 = (
    """CREATE VIRTUAL TABLE search_index USING fts5(head, body, card, content='search_text',
        tokenize="unicode61 remove_diacritics 0", prefix='2 3', detail=column)""",
    """CREATE TRIGGER search_text_added AFTER INSERT ON search_text BEGIN
        INSERT INTO search_index(rowid, head, body, card) VALUES (new.rowid, new.head, new.body, new.card); END""",
    """CREATE TRIGGER search_text_removed AFTER DELETE ON search_text BEGIN
        INSERT INTO search_index(search_index, rowid, head, body, card)
        VALUES ('delete', old.rowid, old.head, old.body, old.card); END""",
    """CREATE TRIGGER search_text_changed AFTER UPDATE ON search_text BEGIN
        INSERT INTO search_index(search_index, rowid, head, body, card)
        VALUES ('delete', old.rowid, old.head, old.body, old.card);
        INSERT INTO search_index(rowid, head, body, card) VALUES (new.rowid, new.head, new.body, new.card); END""",
)


def upgrade() -> None:
    _terms("version", sa.Column("number", sa.Double(), nullable=True), sa.Column("flag", sa.Boolean(), nullable=True))
    _terms("model")
    _metrics()
    for name in ("create_time", "update_time"):
        op.create_index(op.f(f"ix_version_{name}"), "version", [name])
    op.create_table(
        "search_text",
        sa.Column("uid", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("head", "body", "card")),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_search_text")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE INDEX ix_search_text_words ON search_text USING gin (({LEXEMES}))")
    else:
        for statement in FTS5:
            op.execute(statement)


def _terms(of: str, *more: sa.Column[Any]) -> None:
    table = f"{of}_term"
    op.create_table(
        table,
        sa.Column(f"{of}_uid", KEY, nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        *(sa.Column(name, KEY, nullable=False) for name in ("project", "field", "key")),
        sa.Column("text", KEY, nullable=True),
        sa.Column("long_text", sa.Text(), nullable=True),
        *more,
        sa.PrimaryKeyConstraint(f"{of}_uid", "idx", name=op.f(f"pk_{table}")),
    )
    for name in ("text", "number") if more else ("text",):
        where = sa.text(f"{name} IS NOT NULL")
        columns = ["project", "field", "key", name, f"{of}_uid"]
        op.create_index(f"ix_{table}_{name}", table, columns, postgresql_where=where, sqlite_where=where)


def _metrics() -> None:
    op.create_table(
        "version_metric",
        sa.Column("version_uid", KEY, nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        *(
            sa.Column(name, KEY, nullable=False)
            for name in ("project", "name", "dataset", "dataset_version", "slice", "direction")
        ),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("lowest", sa.Boolean(), nullable=False),
        sa.Column("highest", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("version_uid", "idx", name=op.f("pk_version_metric")),
    )
    columns = ["project", "name", "slice", "value", "version_uid"]
    op.create_index(op.f(f"ix_version_metric_{'_'.join(columns)}"), "version_metric", columns)
