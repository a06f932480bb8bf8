"""What the catalogue is searched by: rows of typed terms and metrics, and the words of texts.

Written with the version or model they tell of, and removed with it; everything in them can be made anew from there.
"""

from sqlalchemy import Boolean, Column, Double, Index, Integer, PrimaryKeyConstraint, Table, Text

from registry_grpc.storage.sql.columns import Key, count, flag, index_where, key, text
from registry_grpc.storage.sql.tables.metadata import metadata

TERM_CHARS = 200

# `project`, `model` and `version_number` repeat what the version's row says. An index leads to the values of a project
# and has the versions with one text in order of names.
version_term = Table(
    "version_term",
    metadata,
    key("version_uid"),
    Column("idx", Integer, nullable=False),
    key("project"),
    key("model"),
    count("version_number"),
    key("field"),
    key("key"),
    # Its first `TERM_CHARS`: an index of PostgreSQL takes up to 2,704 bytes. `long_text` has all of a longer one.
    Column("text", Key, nullable=True),
    Column("long_text", Text, nullable=True),
    Column("number", Double, nullable=True),
    Column("flag", Boolean, nullable=True),
    PrimaryKeyConstraint("version_uid", "idx"),
)
index_where(
    "ix_version_term_text",
    "text IS NOT NULL",
    version_term.c.project,
    version_term.c.field,
    version_term.c.key,
    version_term.c.text,
    version_term.c.model,
    version_term.c.version_number,
    version_term.c.version_uid,
)
index_where(
    "ix_version_term_number",
    "number IS NOT NULL",
    version_term.c.project,
    version_term.c.field,
    version_term.c.key,
    version_term.c.number,
    version_term.c.version_uid,
)

# The newest value for each name, data set, version of it and slice; NULL for one that is not finite.
version_metric = Table(
    "version_metric",
    metadata,
    key("version_uid"),
    Column("idx", Integer, nullable=False),
    key("project"),
    key("name"),
    key("dataset"),
    key("dataset_version"),
    key("slice"),
    key("direction"),
    Column("value", Double, nullable=True),
    # Of the values that a version has for a name and a slice, exactly one is the lowest and one the highest.
    flag("lowest"),
    flag("highest"),
    PrimaryKeyConstraint("version_uid", "idx"),
    Index(None, "project", "name", "slice", "value", "version_uid"),
)

model_term = Table(
    "model_term",
    metadata,
    key("model_uid"),
    Column("idx", Integer, nullable=False),
    key("project"),
    key("field"),
    key("key"),
    Column("text", Key, nullable=True),
    Column("long_text", Text, nullable=True),
    PrimaryKeyConstraint("model_uid", "idx"),
)
index_where(
    "ix_model_term_text",
    "text IS NOT NULL",
    model_term.c.project,
    model_term.c.field,
    model_term.c.key,
    model_term.c.text,
    model_term.c.model_uid,
)

# Words of models and versions, each once, with spaces between. What indexes them differs: PostgreSQL has a GIN index
# over them as lexemes, SQLite an FTS5 table kept by triggers; see the migration.
search_text = Table(
    "search_text",
    metadata,
    Column("uid", Key, primary_key=True),
    key("kind"),
    text("head"),
    text("body"),
    text("card"),
)
