"""The filter language: what is understood, and what a refusal says, with its column."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.filters.conditions import Comparison, Condition, Kind, MetricKey
from registry_grpc.domain.filters.fields import MODEL_FIELDS, OTHER_NAMES, VERSION_FIELDS
from registry_grpc.domain.filters.language import parse_filter
from registry_grpc.domain.filters.reading import read_filter
from registry_grpc.domain.filters.tree import MAX_CHARS, MAX_DEPTH, MAX_RESTRICTIONS, And, Not, Or
from registry_grpc.domain.filters.words import snippet, words_of
from registry_grpc.domain.search import (
    MAX_FACETS,
    MAX_ORDERS,
    Order,
    Visible,
    read_facets,
    read_model_order,
    read_query,
    read_version_order,
)

C = Comparison
SOON_S = 2.0


def text(field, comparison, operand=None, key=None):
    return Condition(field, Kind.TEXT, comparison, operand, key)


OWNER, READY = text("owner", C.EQUAL, "ann"), text("state", C.EQUAL, "ready")
UNDERSTOOD = {
    "": And(()),
    "  \n": And(()),
    "owner=ann": OWNER,
    "owner = 'ann'": OWNER,
    'owner = "ann"': OWNER,
    "(owner = ann)": OWNER,
    "owner = ann AND state = READY": And((OWNER, READY)),
    "owner = ann OR state = ready": Or((OWNER, READY)),
    "owner = ann AND (state = ready OR NOT owner = ann)": And((OWNER, Or((READY, Not(OWNER))))),
    "-owner = ann": Not(OWNER),
    "NOT (owner = ann AND state = ready)": Not(And((OWNER, READY))),
    "owner != ann": text("owner", C.UNEQUAL, "ann"),
    "owner = a*": text("owner", C.BEGINS, "a"),
    "owner != a*": text("owner", C.NOT_BEGINS, "a"),
    "owner:nn": text("owner", C.CONTAINS, "nn"),
    "owner:*": text("owner", C.PRESENT),
    'owner = "a\\*"': text("owner", C.EQUAL, "a*"),
    'owner = "say \\"x\\" \\\\"': text("owner", C.EQUAL, 'say "x" \\'),
    'owner = "\'; DROP TABLE version; --"': text("owner", C.EQUAL, "'; DROP TABLE version; --"),
    'owner = "100%_"': text("owner", C.EQUAL, "100%_"),
    'owner = "and OR not"': text("owner", C.EQUAL, "and OR not"),
    "state:ready": READY,
    "tags.team = risk": text("tags", C.EQUAL, "risk", "team"),
    "tag.team = risk": text("tags", C.EQUAL, "risk", "team"),
    'tags."a.b/c" = x': text("tags", C.EQUAL, "x", "a.b/c"),
    "tags.a.b = x": text("tags", C.EQUAL, "x", "a.b"),
    "tags:team": text("tags", C.EQUAL, "team"),
    "tags:te*": text("tags", C.BEGINS, "te"),
    "tags.team:*": text("tags", C.PRESENT, None, "team"),
    "metrics.auc > 0.9": Condition("metrics", Kind.NUMBER, C.MORE, 0.9, MetricKey("auc")),
    "metrics.auc >= -1e-3": Condition("metrics", Kind.NUMBER, C.AT_LEAST, -0.001, MetricKey("auc")),
    "metrics:auc": text("metrics", C.EQUAL, "auc"),
    'metric("auc", "q3@2026-09", "country=DE") < 1': Condition(
        "metrics", Kind.NUMBER, C.LESS, 1.0, MetricKey("auc", "q3", "2026-09", "country=DE")
    ),
    'metric("f1 macro", "q3") = .5': Condition("metrics", Kind.NUMBER, C.EQUAL, 0.5, MetricKey("f1 macro", "q3")),
    'metric("auc"):*': Condition("metrics", Kind.NUMBER, C.PRESENT, None, MetricKey("auc")),
    "parameters.lr = 0.1": Condition("parameters", Kind.NUMBER, C.EQUAL, 0.1, "lr"),
    'parameters.lr = "0.1"': text("parameters", C.EQUAL, "0.1", "lr"),
    "parameters.warm = true": Condition("parameters", Kind.FLAG, C.EQUAL, True, "warm"),
    "parameters.kind = gb*": text("parameters", C.BEGINS, "gb", "kind"),
    "dependencies.numpy = 1.*": text("dependencies", C.BEGINS, "1.", "numpy"),
    "aliases:champion": text("aliases", C.EQUAL, "champion"),
    "alias = champion": text("aliases", C.EQUAL, "champion"),
    "number >= 3": Condition("number", Kind.NUMBER, C.AT_LEAST, 3.0),
    "size > 1e9": Condition("total_size_bytes", Kind.NUMBER, C.MORE, 1e9),
    "executable": Condition("executable", Kind.FLAG, C.EQUAL, True),
    "NOT deployed": Not(Condition("deployed", Kind.FLAG, C.EQUAL, True)),
    "deployed = FALSE": Condition("deployed", Kind.FLAG, C.EQUAL, False),
    "framework.name = xgboost": text("framework", C.EQUAL, "xgboost"),
    "framework.version = 2.*": text("framework.version", C.BEGINS, "2."),
    "code.repository = https://git/x": text("code.repository", C.EQUAL, "https://git/x"),
    "training_data:tx@2026-09": text("training_data", C.EQUAL, "tx@2026-09"),
    "AND_ = x": None,
    "owner = ORANGE": text("owner", C.EQUAL, "ORANGE"),
}
REFUSED = {
    "owner": (1, "compare it with a value"),
    "owner =": (8, "ends where"),
    "owner = ann AND": (16, "ends where"),
    "= ann": (1, "found '='"),
    "fraud": (1, "no field 'fraud'"),
    "owner = ann bob": (13, "words without a field go into `query`"),
    "owner = ann and state = ready": (13, "write AND in capitals"),
    "not owner = ann": (5, ""),
    "owner = ann AND state = ready OR number = 1": (31, "put parentheses around"),
    "owner = ann OR state = ready AND number = 1": (30, "put parentheses around"),
    "(owner = ann": (13, "')'"),
    "owner = ann)": (12, "found ')'"),
    'owner = "ann': (9, "quote is never closed"),
    "owner = a;b": (10, "quote it"),
    "owner ~ ann": (7, "quote it"),
    "ownr = ann": (1, "did you mean owner?"),
    "owner > ann": (9, "not ordered"),
    "state = shipped": (9, "draft, ready"),
    "number = many": (10, "no number"),
    "number = 1*": (10, "star"),
    "metrics.auc > 1e999": (15, "double"),
    "metrics.auc > nan": (15, "no number"),
    "metrics > 1": (11, "name one of the metrics"),
    "tags = x": (8, "name one of the tags"),
    "create_time > yesterday": (15, "no time"),
    "create_time > 2026-01-01T00:00:00": (15, "no zone"),
    "executable = maybe": (14, "true or false"),
    "executable > true": (14, "true or false"),
    "f(1) = 2": (1, "no function"),
    "metric() > 1": (1, "takes a name"),
    'metric("a","b","c","d") > 1': (1, "takes a name"),
    'metric("auc")': (1, "compare the metric"),
    "owner.x = 1": (1, "no field"),
    "number.x = 1": (1, "no field"),
    "owner = ann,": (12, ""),
    "owner = ann AND OR state = ready": (20, ""),
    "()": (2, ""),
    "owner == ann": (8, ""),
}


@pytest.mark.parametrize("said", UNDERSTOOD)
def test_a_filter_means_what_the_table_says(said):
    if UNDERSTOOD[said] is None:
        with pytest.raises(RegistryError):
            read_filter(said, VERSION_FIELDS)
        return
    assert read_filter(said, VERSION_FIELDS) == UNDERSTOOD[said]


@pytest.mark.parametrize("said", REFUSED)
def test_a_filter_that_cannot_be_read_is_refused_with_its_column_and_what_to_do(said):
    column, what = REFUSED[said]
    with pytest.raises(RegistryError) as caught:
        read_filter(said, VERSION_FIELDS, field="version_filter")
    error = caught.value
    assert error.reason is Reason.INVALID_FILTER
    assert f"column {column}:" in error.message, error.message
    assert what in error.message
    assert error.violations[0].subject == "version_filter"


def test_models_have_fewer_fields_and_no_metrics():
    assert read_filter("tags.team = x AND display_name:y", MODEL_FIELDS)
    for said in ("metrics.auc > 1", 'metric("auc") > 1', "state = ready"):
        with pytest.raises(RegistryError):
            read_filter(said, MODEL_FIELDS)


@pytest.mark.parametrize(
    "said",
    [
        "a OR " * 3000 + "b",
        "(" * 5000 + ")" * 5000,
        "NOT " * 4000 + "owner = a",
        "owner = " + "a" * (MAX_CHARS - 8),
        '"' + "\\" * 16_000 + '"',
        "-" * 16_000,
        "owner = a AND " * (MAX_RESTRICTIONS + 1) + "owner = a",
        "(" * (MAX_DEPTH + 1) + "owner = a" + ")" * (MAX_DEPTH + 1),
        "owner = a" + " " * 16_000 + "AND",
        "x" * (MAX_CHARS + 1),
        "metric(" + "a," * 8000 + "a) > 1",
    ],
    ids=range(11),
)
def test_hostile_filters_are_settled_soon(said):
    began = time.monotonic()
    error = refusal(lambda: read_filter(said, VERSION_FIELDS))
    assert error is None or (error.reason is Reason.INVALID_FILTER and len(error.message) < 600)
    assert time.monotonic() - began < SOON_S


def test_limits_are_reached_and_not_beyond():
    most = " AND ".join(["owner = a"] * MAX_RESTRICTIONS)
    assert len(read_filter(most, VERSION_FIELDS).parts) == MAX_RESTRICTIONS
    with pytest.raises(RegistryError, match="ask several times"):
        read_filter(most + " AND owner = a", VERSION_FIELDS)
    deep = "(" * MAX_DEPTH + "owner = a" + ")" * MAX_DEPTH
    assert read_filter(deep, VERSION_FIELDS) == text("owner", C.EQUAL, "a")
    with pytest.raises(RegistryError, match="nested deeper"):
        read_filter(f"({deep})", VERSION_FIELDS)


@given(st.text(max_size=60) | st.text(alphabet="()\"'=<>!:*., \\-aANDORT", max_size=60))
def test_any_text_is_read_or_refused(said):
    error = refusal(lambda: parse_filter(said))
    assert error is None or error.reason is Reason.INVALID_FILTER


def refusal(read):
    """The error; None for what can be read."""
    try:
        read()
    except RegistryError as error:
        return error
    return None


ORDERS = {
    "": (),
    "name": (),
    "name desc": (Order("name", descending=True),),
    "create_time desc, name": (Order("create_time", descending=True),),
    "metrics.auc desc,number": (Order("metrics", True, MetricKey("auc")), Order("number")),
    "metrics.a.b": (Order("metrics", False, MetricKey("a.b")),),
}


@pytest.mark.parametrize("said", ORDERS)
def test_an_order_means_what_the_table_says(said):
    assert read_version_order(said, ()) == ORDERS[said]


@pytest.mark.parametrize(
    "said",
    [
        *("owner", "name up", "number; DROP TABLE x", "number, number", "metrics.", "relevance", ",", "a b c"),
        ", ".join(f"metrics.m{at}" for at in range(MAX_ORDERS + 1)),
    ],
)
def test_an_order_of_anything_else_is_refused(said):
    with pytest.raises(RegistryError) as caught:
        read_version_order(said, ())
    assert caught.value.reason is Reason.INVALID_ORDER_BY


def test_words_come_best_first_unless_another_order_is_asked_for():
    assert read_version_order("", ("a",)) == (Order("relevance"),)
    assert read_model_order("name", ("a",)) == ()
    with pytest.raises(RegistryError):
        read_version_order("relevance desc", ("a",))
    with pytest.raises(RegistryError):
        read_model_order("metrics.auc", ())


def test_facets_are_texts_of_which_there_are_few():
    found = read_facets(("framework", "tag.team", "tags", "deployments.environment"), VERSION_FIELDS)
    assert [(each.shown, each.field, each.key) for each in found] == [
        ("framework", "framework", ""),
        ("tag.team", "tags", "team"),
        ("tags", "tags", ""),
        ("deployments.environment", "deployments.environment", ""),
    ]
    for name in ("metrics", "metrics.auc", "description", "number", "create_time", "nothing", "owner.x", "deployed"):
        with pytest.raises(RegistryError, match="cannot be counted"):
            read_facets((name,), VERSION_FIELDS)
    with pytest.raises(RegistryError, match="at most"):
        read_facets(("owner",) * (MAX_FACETS + 1), VERSION_FIELDS)


def test_words_fold_case_and_part_at_every_mark():
    assert words_of("Über-Fraud, v2_1", "fraud") == ["1", "fraud", "v2", "über"]
    assert read_query("Card CARD card-fraud") == ("card", "fraud")
    assert read_query("  ") == ()
    for said in ("!!!", " ".join(f"w{at}" for at in range(17)), "x" * 513):
        with pytest.raises(RegistryError):
            read_query(said)


def test_a_snippet_is_one_line_around_the_first_word():
    assert snippet(("fra",), "", "About\nFraud here") == "About Fraud here"
    assert snippet(("zzz",), "About Fraud") == ""
    shown = snippet(("needle",), "x " * 200 + "needle" + " y" * 200)
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert "needle" in shown


PAGE = (Path(__file__).parents[2] / "docs" / "catalogue.md").read_text()


def _listed(heading):
    section = PAGE.split(heading, 1)[1].lstrip().split("\n\n")[0]
    return [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in section.splitlines()[2:]]


def test_the_page_lists_the_fields_there_are():
    for heading, fields in (("Of versions:", VERSION_FIELDS), ("Of models:", MODEL_FIELDS)):
        assert sorted(name for row in _listed(heading) for name in row) == sorted(fields)
    for name in OTHER_NAMES:
        assert f"`{name}`" in PAGE


def test_the_page_shows_only_filters_that_can_be_read():
    shown = re.findall(r"\| `([^`]+)` \|\n", PAGE.split("## Ten questions")[1])
    assert len(shown) == 10
    examples = [row.split("`")[1] for row in PAGE.split("| written")[1].splitlines() if row.startswith("| `")]
    assert len(examples) >= 14
    for said in (*shown, *examples[:14]):
        assert read_filter(said, VERSION_FIELDS)


def test_what_is_seen_here_and_there():
    everywhere, whole = Visible(everywhere=True), Visible(projects=frozenset({"a", "b"}))
    some = Visible(projects=frozenset({"b"}), models=frozenset({("a", "m"), ("c", "m")}))
    assert everywhere.also(some) == some.also(everywhere) == some
    both = Visible(projects=frozenset({"b"}), models=frozenset({("a", "m")}))
    assert whole.also(some) == some.also(whole) == both
    assert both.has("b", "any")
    assert not both.has("a", "other")
