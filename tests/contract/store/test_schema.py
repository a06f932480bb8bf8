import re
import uuid
import warnings

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event, make_url, text

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.storage.sql import SchemaError, SqlStore, schema
from registry_grpc.storage.sql.grants import statements
from registry_grpc.storage.sql.tables import metadata
from tests.contract.store.builders import at_once
from tests.kit.engines import ROOT

ENGINES_OWN = re.compile(r"search_index(_\w+)?|ix_search_text_words")
"""What looks words up: an FTS5 table with its shadows, and a GIN index over an expression."""


def set_version(store, version):
    def work(unit):
        unit.session.connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})

    store.write(work)


def test_the_migrations_lead_to_exactly_the_tables(store):
    def differences(reader):
        options = {"compare_type": True, "include_name": lambda name, *_: not ENGINES_OWN.fullmatch(name or "")}
        context = MigrationContext.configure(reader.session.connection, opts=options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SQLite's reflection cannot read expression indexes, and says so
            return compare_metadata(context, metadata)

    assert store.read(differences) == []


def test_sorted_columns_follow_bytes_on_postgresql(store):
    if "postgresql" not in store.read(lambda reader: reader.session.connection.dialect.name):
        return
    query = """SELECT table_name || '.' || column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND collation_name = 'C'"""
    found = store.read(lambda reader: set(reader.session.connection.execute(text(query)).scalars()))
    assert {"project.id", "model.id", "artifact.path", "artifact.folded_path", "pointer.id", "version.project"} <= found


def test_the_known_head_is_the_newest_migration_and_history_is_one_line():
    scripts = ScriptDirectory.from_config(schema._config())
    assert scripts.get_heads() == [schema.HEAD]
    assert schema.known_revisions()[0] == schema.HEAD


def test_an_empty_database_is_refused_until_it_is_upgraded(url):
    assert schema.check(url) == schema.SchemaState("", schema.HEAD)
    with pytest.raises(SchemaError, match="mreg db upgrade"):
        SqlStore(url)
    assert schema.upgrade(url) == ("", schema.HEAD)
    assert schema.upgrade(url) == (schema.HEAD, schema.HEAD)
    assert schema.check(url).ok
    SqlStore(url).close()


@pytest.mark.parametrize(("version", "advice"), [("0001", "mreg db upgrade"), ("9999", "newer")])
def test_another_schema_is_refused_with_what_to_do(url, version, advice):
    store = SqlStore(url, auto_upgrade=True)
    store.ping()
    set_version(store, version)
    with pytest.raises(RegistryError) as caught:
        store.ping()
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
    assert re.search(advice, schema.check(url).advice)
    store.close()
    with pytest.raises(SchemaError, match=advice):
        SqlStore(url)


def test_a_database_whose_schema_is_gone_is_not_ready(url):
    store = SqlStore(url, auto_upgrade=True)
    store.write(lambda unit: unit.session.connection.execute(text("DROP TABLE alembic_version")) and None)
    with pytest.raises(RegistryError) as caught:
        store.ping()
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
    store.close()
    assert schema.check(url) == schema.SchemaState("", schema.HEAD)


def test_a_ping_asks_the_database_one_question(url):
    store = SqlStore(url, auto_upgrade=True)
    store.ping()
    asked = []

    def note(connection, cursor, statement, *_):
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        store.ping()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    store.close()
    assert len(asked) == 1, asked


def test_a_newer_schema_is_not_upgraded(url):
    store = SqlStore(url, auto_upgrade=True)
    set_version(store, "9999")
    store.close()
    with pytest.raises(SchemaError, match="newer"):
        schema.upgrade(url)


def test_a_store_that_is_opened_again_is_the_same_registry(url):
    first = SqlStore(url, auto_upgrade=True)
    uid = first.registry_uid
    first.close()
    second = SqlStore(url, auto_upgrade=True)
    assert second.registry_uid == uid
    assert second.read(lambda reader: reader.feed.head()) == 1
    second.close()


def test_replicas_that_start_together_on_an_empty_database_make_one_registry(postgres_url):
    stores = at_once(4, lambda _: SqlStore(postgres_url, auto_upgrade=True))
    assert len({store.registry_uid for store in stores}) == 1
    assert stores[0].read(lambda reader: reader.feed.head()) == 1
    for store in stores:
        store.close()


@pytest.mark.parametrize("bad", ["sqlite://", "sqlite:///:memory:", "mysql://root:geheim@localhost/x", "no url"])
def test_an_address_of_another_kind_is_refused_without_its_password(bad):
    with pytest.raises(ValueError, match=r"use sqlite:///|SQLite needs a file") as caught:
        SqlStore(bad)
    assert "geheim" not in str(caught.value)


def test_the_script_grants_what_the_upgrade_grants():
    script = (ROOT / "deploy/postgresql/grants.sql").read_text()
    lines = [line.rstrip(";") for line in script.splitlines() if line and not line.startswith("--")]
    assert lines == list(statements(':"role"'))


def test_sqlite_has_no_roles(tmp_path):
    with pytest.raises(SchemaError, match="--grant-to"):
        schema.upgrade(f"sqlite:///{tmp_path / 'registry.db'}", "mreg_app")


def test_a_role_that_is_not_there_or_owns_the_tables_changes_nothing(postgres_url):
    for role, why in ((f"nobody-{uuid.uuid4().hex}", "there is no role"), (make_url(postgres_url).username, "owns")):
        with pytest.raises(SchemaError, match=why):
            schema.upgrade(postgres_url, role)
        assert schema.check(postgres_url).current == ""
