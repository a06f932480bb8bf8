"""How the engines look for what people ask: along indexes, never through a whole table."""

import re

import pytest
from sqlalchemy import Engine, event

from registry_grpc.domain.filters.fields import MODEL_FIELDS
from registry_grpc.domain.filters.reading import read_filter
from registry_grpc.domain.search import Search, Visible
from tests.bench.search import QUESTIONS, fill, measure

VERSIONS = 300
FOUND_ALREADY = re.compile(
    r"SCAN (CONSTANT|\(subquery|search_index VIRTUAL|"
    r"objective_|counted|few|once|places|page\b|\w+ VIRTUAL)"
)
"""What SQLite reads whole because it just made it, or by way of the index of words."""


@pytest.fixture
def asked():
    """The statements that were sent, with their parameters."""
    seen = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


def plan(reader, statement, parameters):
    connection = reader.session.connection
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        return [row[3] for row in rows]
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    return [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).all()]


def whole_tables(lines):
    """What is read from one end to the other."""
    return [line for line in lines if ("SCAN" in line and not FOUND_ALREADY.match(line)) or "Seq Scan" in line]


def test_what_is_indexed_is_looked_up_on_either_engine(store, asked):
    fill(store, VERSIONS)
    for name, question in QUESTIONS.items():
        asked.clear()
        store.read(lambda reader, question=question: question.ask(reader, VERSIONS))
        sent = list(asked)
        assert sent, name
        for statement, parameters in sent:
            lines = store.read(
                lambda reader, statement=statement, parameters=parameters: plan(reader, statement, parameters),
                snapshot=True,
            )
            assert whole_tables(lines) == [], (name, statement, lines)


def test_a_plan_that_reads_everything_is_told_from_one_that_does_not(store):
    fill(store, VERSIONS)
    statement = "SELECT uid FROM version WHERE description || '' = 'x'"
    assert whole_tables(store.read(lambda reader: plan(reader, statement, ()), snapshot=True))


def test_models_by_the_beginning_of_their_names_are_planned_once(store):
    fill(store, VERSIONS)
    visible = Visible(projects=frozenset({"default"}))
    kept = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%%LATERAL%%'"

    def ask(reader):
        connection = reader.session.connection
        if connection.dialect.name == "sqlite":
            pytest.skip("plans each time")
        connection.exec_driver_sql("ANALYZE model")
        # Of few models every plan is cheap. PostgreSQL takes rows a page from here, and counts the pages itself.
        connection.exec_driver_sql("UPDATE pg_class SET reltuples = 1e5, relpages = 1 WHERE oid = 'model'::regclass")
        for first in range(20):  # the driver prepares what came five times, PostgreSQL plans that five times
            wanted = Search(visible=visible, conditions=read_filter(f"model = model-{first % 3}*", MODEL_FIELDS))
            reader.catalogue.models(wanted, None, after=None, limit=11)
        return connection.exec_driver_sql(kept).all()

    assert store.read(ask) == [(10, 5)]


def test_every_question_is_answered_and_some_find_something(store):
    fill(store, VERSIONS)
    found = {
        name: store.read(lambda reader, question=question: question.ask(reader, VERSIONS))
        for name, question in QUESTIONS.items()
    }
    assert found["first page"] == found["by metric"] == 51
    assert found["models by their versions"] <= 30
    assert min(found[name] for name in ("tag of 2 %", "metric of half", "word of a third", "the best of 2 %")) > 0
    times = measure(store, VERSIONS, 1)
    assert set(times) == set(QUESTIONS)
    # No promise, only that none of them runs away at this size, on a machine that is busy.
    assert max(times.values()) < 5_000
