"""What a database of an older schema is turned into: made by the migrations of its time, filled by hand."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, make_url, text

from registry_grpc.domain.access_names import REGISTRY
from registry_grpc.domain.audit import FIRST_LEAF, AuditEntry, first_difference
from registry_grpc.domain.filters.fields import VERSION_FIELDS
from registry_grpc.domain.filters.reading import read_filter
from registry_grpc.domain.merkle import leaf_hash
from registry_grpc.domain.metadata import ModelCard
from registry_grpc.domain.search import Search, Visible
from registry_grpc.ports.audit import AuditFilter
from registry_grpc.storage.sql import SqlStore, schema
from tests.contract.store.builders import SECOND, add_model

THEN = datetime(2026, 1, 2, tzinfo=UTC)
MICROS = int(THEN.timestamp()) * 1_000_000
PROJECT = f"""INSERT INTO project (id, uid, display_name, description, stages, tags, annotations, create_time,
    update_time, revision) VALUES ('default', 'p', '', '', '[1,[]]', '[1,{{}}]', '[1,{{}}]', {MICROS}, {MICROS}, 1)"""  # noqa: S608 - numbers of ours
REGISTRY_ROWS = (
    "INSERT INTO registry (id, registry_uid, epoch) VALUES (1, 'r', 1)",
    "INSERT INTO log_head (id, revision, audit_size) VALUES (1, 7, 9)",
    PROJECT,
)


@contextlib.contextmanager
def as_of(url, revision):
    """A connection to an empty database of that schema; committed at the end."""
    if url.startswith("sqlite"):
        Path(make_url(url).database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    with engine.begin() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        yield lambda *statements: [connection.execute(text(statement)) for statement in statements]
    engine.dispose()


def test_bytes_from_before_the_scrubber_are_as_old_as_their_upload(url):
    with as_of(url, "0002") as execute:
        execute(
            *REGISTRY_ROWS,
            f"""INSERT INTO blob (uid, project, sha256, size_bytes, key, block_digests, state, create_time)
                VALUES ('b', 'default', '{"a" * 64}', 3, 'k', '', 'live', {MICROS})""",  # noqa: S608 - numbers of ours
        )

    assert schema.upgrade(url) == ("0002", schema.HEAD)

    store = SqlStore(url)
    assert store.read(lambda reader: reader.blobs.due(THEN)) is None
    assert store.read(lambda reader: reader.blobs.due(THEN + SECOND)).uid == "b"
    store.close()


@pytest.mark.parametrize("empty", [False, True])
def test_whoever_administered_an_older_registry_still_does(url, empty):
    with as_of(url, "0003") as execute:
        if not empty:
            execute(
                *REGISTRY_ROWS,
                f"""INSERT INTO token (id, secret_hash, principal, create_time)
                    VALUES ('abcdefghijkl', '', 'user:admin', {MICROS})""",  # noqa: S608 - numbers of ours
            )

    schema.upgrade(url)

    store = SqlStore(url)
    [binding] = store.read(lambda reader: reader.access.bindings.list(REGISTRY, after="", limit=9))
    assert (str(binding.name), str(binding.role), binding.members) == (
        "roleBindings/admin",
        "roles/admin",
        ("user:admin",),
    )
    assert not binding.condition
    assert store.read(lambda reader: reader.feed.head()) == (1 if empty else 7)
    if not empty:
        token = store.read(lambda reader: reader.tokens.get("abcdefghijkl"))
        assert (token.principal, token.creator, token.revision) == ("user:admin", "", 0)
    store.close()


def test_entries_of_before_the_tree_are_read_and_their_leaves_stay(url):
    with as_of(url, "0008") as execute:
        execute(*REGISTRY_ROWS, "UPDATE log_head SET revision = 2, audit_size = 2")
        old = [
            AuditEntry(
                number=number,
                revision=number,
                time=THEN,
                actor="user:ada",
                method="ModelService.CreateModel",
                resource=resource,
                request_id="r",
                outcome="applied",
                after=bytes(range(32)),
            )
            for number, resource in ((1, "registry"), (2, "projects/default/models/m"))
        ]
        for entry in old:
            leaf = entry.leaf(FIRST_LEAF)
            raw, hashed, after = (_octets(url, each) for each in (leaf, leaf_hash(leaf), entry.after))
            execute(
                f"""INSERT INTO audit (audit_index, revision, leaf, leaf_hash, time, actor, method, resource,
                    request_id, outcome, detail) VALUES ({entry.number}, {entry.revision}, {raw}, {hashed}, {MICROS},
                    '{entry.actor}', '{entry.method}', '{entry.resource}', 'r', 'applied', {after})"""  # noqa: S608 - ours
            )

    schema.upgrade(url)

    store = SqlStore(url)
    add_model(store, "new")
    found = store.read(lambda reader: reader.trail.entries(0, 9, 9))
    assert [each.entry for each in found[:2]] == old
    assert [each.leaf for each in found[:2]] == [entry.leaf(FIRST_LEAF) for entry in old]
    assert [first_difference(each) for each in found] == ["", "", ""]
    of_project = store.read(lambda reader: reader.trail.list(AuditFilter(project="default"), before=None, limit=9))
    assert [entry.resource for entry in of_project] == [old[1].resource]
    store.close()


def _octets(url, raw):
    """As a literal of that engine."""
    return f"x'{raw.hex()}'" if url.startswith("sqlite") else f"'\\x{raw.hex()}'"


def test_a_version_of_before_has_no_card_and_can_be_given_one(url):
    empty = "'', '', '[1,{}]', '[1,{}]'"
    with as_of(url, "0012") as execute:
        execute(
            *REGISTRY_ROWS,
            f"""INSERT INTO model (uid, project, id, display_name, description, tags, annotations, owner, creator,
                last_version_number, create_time, update_time, buried, revision)
                VALUES ('m', 'default', 'm', {empty}, '', '', 1, {MICROS}, {MICROS}, false, 1)""",  # noqa: S608 -- ours
            f"""INSERT INTO version (uid, model_uid, project, model, number, state, stage, stage_exclusive,
                version_label, owner, description, model_card, tags, annotations, metadata, formats, file_count,
                total_size_bytes, manifest_digest, state_reason, creator, copied_from, create_time, update_time,
                revision)
                VALUES ('v', 'm', 'default', 'm', 1, 'ready', '', false, '', '', '', '# Old', '[1,{{}}]', '[1,{{}}]',
                '[1,{{}}]', '[1,[]]', 0, 0, '', '', '', '', {MICROS}, {MICROS}, 1)""",  # noqa: S608 -- ours
        )

    assert schema.upgrade(url) == ("0012", schema.HEAD)

    store = SqlStore(url)
    found = store.read(lambda reader: reader.versions.by_uid("v"))
    assert (found.card, found.model_card) == (None, "# Old")
    card = ModelCard(limitations="Few", contacts=("ann",), license="mit")

    def describe(unit):
        before = unit.versions.get(found.name)
        revision = unit.advance(str(found.name))
        unit.versions.update(replace(before, card=card, revision=revision))

    store.write(describe)
    assert store.read(lambda reader: reader.versions.by_uid("v")).card == card
    wanted = Search(visible=Visible(everywhere=True), conditions=read_filter("card.license = mit", VERSION_FIELDS))
    (hit,) = store.read(lambda reader: reader.catalogue.versions(wanted, after=None, limit=9))
    for full in (False, True):
        read = store.read(lambda reader, full=full: reader.catalogue.versions_of([hit.uid], full=full))
        assert read[hit.uid].card == (card if full else None)
    store.close()
