"""The catalogue's search over both engines, against plain Python: what is found, in which order, how often."""

import math
import random
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from registry_grpc.domain.filters.conditions import MetricKey
from registry_grpc.domain.filters.fields import MODEL_FIELDS, VERSION_FIELDS, Shape
from registry_grpc.domain.filters.reading import read_filter
from registry_grpc.domain.filters.terms import newest_metrics
from registry_grpc.domain.filters.words import model_words, version_words
from registry_grpc.domain.metadata import Direction, Metadata, Metric
from registry_grpc.domain.resources import Version
from registry_grpc.domain.search import (
    Search,
    Visible,
    read_facets,
    read_model_order,
    read_query,
    read_version_order,
)
from registry_grpc.usecases.search import IndexMissing
from tests.contract.store.builders import TIME, add_model, add_version, at_once, change, model, project
from tests.contract.store.catalogues import ATOMS, MODEL_ATOMS, filled, random_version
from tests.kit.filtering import fulfils

ALL = Visible(everywhere=True)
DEFAULT = Visible(projects=frozenset({"default"}))
WALKED = {"conditions": "owner = ann", "visible": DEFAULT}
"""What is read in order of names along the index of one text."""
ORDERS = (
    *("name", "name desc", "number", "number desc, name desc", "create_time desc", "finalize_time desc, name"),
    *("finalize_time", "metrics.auc desc", "metrics.auc", "metrics.auc desc, create_time desc"),
    *("create_time, metrics.auc desc", "update_time desc, metrics.f1, name desc", "total_size_bytes,number desc"),
    "metrics.auc, metrics.f1 desc, finalize_time",
)
MODEL_ORDERS = ("name", "name desc", "create_time desc", "update_time, create_time desc", "update_time, name desc")
FACETS = tuple(name for name, field in VERSION_FIELDS.items() if field.shape in {Shape.ONE, Shape.MANY, Shape.KEYED})


class Hit(NamedTuple):
    """A version that was found, read, and what it was sorted by."""

    version: Version
    sort: tuple


def trees(atoms):
    """Filters as text: AND or OR over atoms, some negated, some in parentheses."""
    leaf = st.sampled_from(atoms)
    return st.recursive(
        leaf,
        lambda inner: (
            inner.map("NOT ({})".format)
            | st.lists(inner.map("({})".format), min_size=2, max_size=4).map(" AND ".join)
            | st.lists(inner.map("({})".format), min_size=2, max_size=4).map(" OR ".join)
        ),
        max_leaves=8,
    )


def versions(store, *, conditions="", order="", query="", after=None, limit=1000, visible=ALL, **more):
    words = read_query(query)
    wanted = Search(
        visible=visible,
        conditions=read_filter(conditions, VERSION_FIELDS),
        words=words,
        order=read_version_order(order, words),
        **more,
    )

    def work(reader):
        hits = reader.catalogue.versions(wanted, after=after, limit=limit)
        read = reader.catalogue.versions_of([hit.uid for hit in hits], full=True)
        for hit in hits:
            version = read[hit.uid]
            assert (hit.uid, hit.revision, hit.aliases) == (version.uid, version.revision, version.aliases)
        return [Hit(read[hit.uid], hit.sort) for hit in hits]

    return store.read(work, snapshot=True)


def models(store, *, conditions="", having="", order="", query="", after=None, limit=1000):
    words = read_query(query)
    wanted = Search(
        visible=ALL,
        conditions=read_filter(conditions, MODEL_FIELDS),
        words=words,
        order=read_model_order(order, words),
    )
    tree = read_filter(having, VERSION_FIELDS) if having else None
    return store.read(lambda reader: reader.catalogue.models(wanted, tree, after=after, limit=limit))


def uids(hits):
    return [hit.version.uid for hit in hits]


# One store for all the examples of a test: they only read.
ASKING = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("seed", [7])
def test_a_filter_finds_what_the_same_filter_in_python_finds(store, seed):
    held = filled(store, seed)

    def check(said):
        tree = read_filter(said, VERSION_FIELDS)
        expected = sorted(each.version.uid for each in held.versions if fulfils(tree, each))
        assert sorted(uids(versions(store, conditions=said))) == expected, said
        in_order = versions(store, conditions=said, visible=DEFAULT)
        assert sorted(uids(in_order)) == expected, said
        names = [hit.version.name for hit in in_order]
        assert names == sorted(names, key=lambda name: (name.project, name.model, name.number)), said

    for atom in ATOMS:
        check(atom)
        check(f"NOT ({atom})")

    @ASKING
    @given(trees(ATOMS))
    def any_filter(said):
        check(said)

    any_filter()
    read = {each.version.uid: each.version for each in held.versions}
    assert all(hit.version.tags == read[hit.version.uid].tags for hit in versions(store))


def test_a_filter_of_models_finds_what_the_same_filter_in_python_finds(store):
    held = filled(store, 3, models=25, versions=40)

    @ASKING
    @given(trees(MODEL_ATOMS), st.one_of(st.none(), trees(ATOMS)))
    def any_filter(said, having):
        tree = read_filter(said, MODEL_FIELDS)
        wanted = {one.uid for one in held.models if fulfils(tree, one)}
        if having is not None:
            of_versions = read_filter(having, VERSION_FIELDS)
            wanted &= {each.version.model_uid for each in held.versions if fulfils(of_versions, each)}
        found = models(store, conditions=said, having=having or "")
        assert {hit.uid for hit in found} == wanted, (said, having)
        fits = read_filter(having or "state = READY", VERSION_FIELDS)
        newest = {
            each.version.model_uid: each.version.uid
            for each in sorted(held.versions, key=lambda each: each.version.name.number)
            if fulfils(fits, each)
        }
        told = {hit.uid: hit.newest.uid for hit in found if hit.newest is not None}
        assert told == {uid: newest[uid] for uid in wanted & newest.keys()}, (said, having)

    any_filter()


@pytest.mark.parametrize(
    ("order", "asked"),
    [
        *(pytest.param(order, {}, id=order) for order in ORDERS),
        *(pytest.param(order, WALKED, id=f"{order}, walked") for order in ("name", "name desc")),
    ],
)
def test_pages_neither_lose_nor_repeat_while_others_write(store, order, asked):
    held = filled(store, 11, versions=30)
    if asked:
        held = replace(held, versions=tuple(each for each in held.versions if each.version.owner == "ann"))
        assert len(held.versions) > 4
    before = uids(versions(store, order=order, **asked))
    assert sorted(before) == sorted(each.version.uid for each in held.versions)
    assert before == [each.uid for each in _sorted(held.versions, order)]
    r, seen, last, number = random.Random(5), [], None, 100
    gone = set()
    while True:
        page = versions(store, order=order, after=last, limit=4, **asked)
        seen += uids(page)
        if len(page) < 4:
            break
        last = page[-1].sort
        victim = r.choice(held.versions).version.uid
        number += 1
        newer = random_version(r, r.choice(held.models), number)

        def work(unit, revision, victim=victim, newer=newer):
            if victim not in gone:
                unit.versions.delete(victim)
            unit.versions.insert(replace(newer, revision=revision))

        # A row with deployments or aliases stays: what points at it would dangle.
        if not next(each for each in held.versions if each.version.uid == victim).deployments:
            change(store, work)
            gone.add(victim)
    assert len(seen) == len(set(seen))
    assert [uid for uid in before if uid not in gone] == [uid for uid in seen if uid in before and uid not in gone]


def _sorted(found, order):
    """What SQL must come to as well: what has no value comes last, then by name."""

    def key(version):
        keys = []
        for each in read_version_order(order, ()):
            value = _value(version, each)
            if isinstance(value, str) or each.field == "name":
                keys += [_turned(part, each.descending) for part in _name(version)]
                return keys
            keys.append((value is None, 0 if value is None else -value if each.descending else value))
        return keys + [_turned(part, False) for part in _name(version)]

    return sorted((each.version for each in found), key=key)


def _name(version):
    # The last character decides between m1, m2 and m3.
    return (ord(version.name.model[-1]), version.name.number)


def _turned(value, descending):
    return -value if descending else value


def _value(version, order):
    if order.metric is None:
        value = getattr(version.name, order.field, None) if order.field == "number" else None
        value = getattr(version, order.field, value) if order.field != "name" else None
        return value.timestamp() if hasattr(value, "timestamp") else value
    values = [
        each.value
        for each in newest_metrics(version.metadata.metrics)
        if each.name == order.metric.name and not each.slice and math.isfinite(each.value)
    ]
    return (max if order.descending else min)(values) if values else None


@pytest.mark.parametrize("order", MODEL_ORDERS)
def test_pages_of_models_neither_lose_nor_repeat(store, order):
    held = filled(store, 12, models=17, versions=0)
    seen, last = [], None
    while True:
        page = models(store, order=order, after=last, limit=3)
        seen += [hit.uid for hit in page]
        if len(page) < 3:
            break
        last = page[-1].sort
        add_model(store, f"new-{len(seen)}")
    known = [uid for uid in seen if uid in {each.uid for each in held.models}]
    assert sorted(known) == sorted(each.uid for each in held.models)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("asked", ["", "state != draft", "metrics.auc > 0.3 AND owner:*"])
def test_facets_count_as_python_does(store, asked):
    held = filled(store, 21)
    tree = read_filter(asked, VERSION_FIELDS)
    found = [each for each in held.versions if fulfils(tree, each)]
    wanted = Search(visible=ALL, conditions=tree)
    names = [name for name in FACETS if _can_be_counted(name)] + [
        "tags.t1",
        "dependencies.numpy",
        "inputs.age",
    ]
    for name in names:
        (facet,) = read_facets((name,), VERSION_FIELDS)
        counted = store.read(lambda reader, facet=facet: reader.catalogue.version_facet(wanted, facet, 100))
        expected = Counter(value for each in found for value in (_values(each, facet) or {""}))
        assert {each.value: each.count for each in counted} == expected, name
        assert [each.count for each in counted] == sorted((each.count for each in counted), reverse=True)
        few = store.read(lambda reader, facet=facet: reader.catalogue.version_facet(wanted, facet, 2))
        assert list(few) == list(counted)[:2]


def _can_be_counted(name):
    try:
        return bool(read_facets((name,), VERSION_FIELDS))
    except Exception:  # noqa: BLE001 - which fields those are is the subject of another test
        return False


def _values(found, facet):
    """The values of a field, each once; of long ones the first 200 characters."""
    version, meta = found.version, found.version.metadata
    if facet.field == "tags":
        values = [version.tags.get(facet.key)] if facet.key else list(version.tags)
    elif facet.field == "dependencies":
        values = [each.version if facet.key else each.name for each in meta.dependencies]
        values = [value for value, each in zip(values, meta.dependencies, strict=True) if facet.key in {"", each.name}]
    elif facet.field in {"inputs", "outputs"}:
        specs = getattr(meta.signature, facet.field) if meta.signature else ()
        values = [each.data_type.value if facet.key else each.name for each in specs if facet.key in {"", each.name}]
    else:
        from registry_grpc.domain.filters.conditions import Comparison, Condition, Kind
        from tests.kit.filtering import _of_version

        values = list(_of_version(found, Condition(facet.field, Kind.TEXT, Comparison.PRESENT)))
    return {str(value)[:200] for value in values if value is not None}


def test_facets_of_models_count_as_python_does(store):
    held = filled(store, 22, models=20, versions=10)
    wanted = Search(visible=ALL)
    for name in ("owner", "tags", "tags.t1", "project"):
        (facet,) = read_facets((name,), MODEL_FIELDS)
        counted = store.read(lambda reader, facet=facet: reader.catalogue.model_facet(wanted, None, facet, 100))
        expected = Counter()
        for one in held.models:
            if name.startswith("tags"):
                values = [one.tags.get("t1", "")] if facet.key else list(one.tags) or [""]
            else:
                values = [one.owner if name == "owner" else one.name.project]
            expected.update(value[:200] for value in values)
        assert {each.value: each.count for each in counted} == expected, name


@pytest.mark.parametrize("query", ["fraud", "FRA le", "überw", "card", "m1", "ann t1", "x", "zzz", "shop THE"])
def test_words_are_found_as_beginnings_and_ranked_by_where_they_stand(store, query):
    held = filled(store, 31)

    def rank(words):
        asked = read_query(query)
        for at, texts in enumerate((words.head, f"{words.head} {words.body}", " ".join(words))):
            if all(any(word.startswith(one) for word in texts.split()) for one in asked):
                return at
        return None

    expected = {each.version.uid: rank(version_words(each.version)) for each in held.versions}
    found = versions(store, query=query)
    assert {hit.version.uid: hit.sort[0] for hit in found} == {u: r for u, r in expected.items() if r is not None}
    assert [hit.sort[0] for hit in found] == sorted(hit.sort[0] for hit in found)
    paged, last = [], None
    while page := versions(store, query=query, after=last, limit=3):
        paged += uids(page)
        last = page[-1].sort
    assert paged == uids(found)
    ranks = {each.uid: rank(model_words(each)) for each in held.models}
    of_models = models(store, query=query)
    assert {hit.uid: hit.sort[0] for hit in of_models} == {u: r for u, r in ranks.items() if r is not None}


def test_only_what_is_visible_is_found_and_counted(store):
    held = filled(store, 41)
    one = Visible(models=frozenset({("default", "m1")}))
    expected = sorted(each.version.uid for each in held.versions if each.version.name.model == "m1")
    assert sorted(uids(versions(store, visible=one))) == expected
    assert sorted(uids(versions(store, visible=one, order="metrics.auc desc"))) == expected
    assert uids(versions(store, visible=Visible())) == []
    assert uids(versions(store, visible=Visible(projects=frozenset({"other"})))) == []
    (facet,) = read_facets(("model",), VERSION_FIELDS)
    counted = store.read(lambda reader: reader.catalogue.version_facet(Search(visible=one), facet, 10))
    assert [(each.value, each.count) for each in counted] == [("m1", len(expected))]


def test_what_is_deleted_or_lies_in_what_is_deleted_is_found_when_asked_for(store):
    of = add_model(store)
    kept, gone = add_version(store, of), add_version(store, of)
    change(store, lambda unit, revision: unit.versions.update(replace(gone, delete_time=TIME, revision=revision)))
    assert uids(versions(store)) == [kept.uid]
    assert uids(versions(store, show_deleted=True)) == [kept.uid, gone.uid]
    change(store, lambda unit, revision: unit.models.update(replace(of, delete_time=TIME, revision=revision)))
    assert uids(versions(store)) == []
    assert len(versions(store, show_deleted=True)) == 2
    store.write(lambda unit: unit.projects.bury("default", buried=True))
    assert uids(versions(store, show_deleted=True)) == []
    assert models(store) == []


def test_a_change_replaces_what_was_indexed_and_a_purge_leaves_nothing(store):
    of = add_model(store, tags={"a": "1"})
    made = add_version(store, of, tags={"k": "1"}, metadata=Metadata(metrics=(Metric("auc", 0.5),)))
    changed = replace(made, tags={"k": "2"}, metadata=Metadata(metrics=(Metric("auc", 0.7), Metric("auc", 0.9, "d"))))
    change(store, lambda unit, revision: unit.versions.update(replace(changed, revision=revision)))
    assert versions(store, conditions="tags.k = 1") == []
    assert uids(versions(store, conditions="tags.k = 2 AND metrics.auc > 0.8")) == [made.uid]
    assert versions(store, order="metrics.auc")[0].sort[0] == 0.7
    assert versions(store, order="metrics.auc desc")[0].sort[0] == 0.9

    def purge(unit, _):
        unit.versions.delete(made.uid)
        unit.models.delete(of.uid)

    change(store, purge)
    for table in INDEX:
        assert rows(store, table) == 0, table


INDEX = ("version_term", "version_metric", "model_term", "search_text")


def rows(store, table):
    query = text(f"SELECT count(*) FROM {table}")  # noqa: S608 - names of ours
    return store.read(lambda reader: reader.session.connection.execute(query).scalar())


def _forget_index(store):
    def work(unit):
        for table in INDEX:
            unit.session.connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - names of ours

    store.write(work)


def test_what_an_older_schema_left_is_indexed_whole_whoever_comes_first(store):
    held = filled(store, 51, versions=20)
    whole = {table: rows(store, table) for table in INDEX}
    _forget_index(store)
    store.write(lambda unit: unit.projects.bury("default", buried=True))
    first = held.versions[0].version

    def describe(unit, revision):
        read = unit.versions.by_uid(first.uid)
        unit.versions.update(replace(read, description="changed meanwhile", revision=revision))

    change(store, describe)
    indexed = at_once(3, lambda _: IndexMissing(store)())
    assert sum(indexed) >= len(held.versions) + len(held.models) - 1, indexed
    assert {table: rows(store, table) for table in INDEX} == whole
    store.write(lambda unit: unit.projects.bury("default", buried=False))
    assert first.uid in uids(versions(store, query="changed meanwhile"))
    job = IndexMissing(store)
    assert job() == 0
    assert job() == 0


def test_many_write_one_model_at_once_and_everything_is_found(store):
    of = add_model(store)
    made = at_once(8, lambda at: add_version(store, of, tags={"k": str(at)}))
    assert not [each for each in made if isinstance(each, Exception)]
    for at in range(8):
        assert len(versions(store, conditions=f"tags.k = {at}")) == 1


def test_the_best_is_first_and_what_is_missing_last(store):
    held = filled(store, 61, versions=60)
    wanted = Search(visible=ALL)
    auc, f1 = MetricKey("auc"), MetricKey("f1")
    pairs = [(auc, Direction.MAXIMISE), (f1, Direction.MINIMISE)]
    found = store.read(lambda reader: reader.catalogue.best(wanted, pairs, 100))

    def value(version, name, chosen):
        values = [
            each.value
            for each in newest_metrics(version.metadata.metrics)
            if each.name == name and not each.slice and math.isfinite(each.value)
        ]
        return chosen(values) if values else None

    expected = {}
    for each in held.versions:
        best = value(each.version, "auc", max)
        if best is not None:
            expected[each.version.uid] = (best, value(each.version, "f1", min))
    assert {hit.version.uid: hit.values for hit in found} == expected
    keys = [
        (-hit.values[0], hit.values[1] is None, hit.values[1] or 0, -hit.version.create_time.timestamp())
        for hit in found
    ]
    assert keys == sorted(keys)
    assert store.read(lambda reader: reader.catalogue.count_candidates(wanted, auc)) == len(expected)
    said = {
        each.direction
        for one in held.versions
        for each in newest_metrics(one.version.metadata.metrics)
        if each.name == "auc" and not each.slice and math.isfinite(each.value)
    }
    assert set(store.read(lambda reader: reader.catalogue.directions(wanted, auc))) == said


def test_names_of_other_projects_do_not_mix(store):
    here = add_model(store, "same")
    add_version(store, here)

    def work(unit, revision):
        unit.projects.insert(replace(project("other"), revision=revision))
        unit.models.insert(replace(model("same", "other"), revision=revision))

    change(store, work)
    assert [hit.name.project for hit in models(store)] == ["default", "other"]
    assert [hit.name.project for hit in models(store, conditions="project = other")] == ["other"]
