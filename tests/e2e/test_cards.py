"""Model cards in parts over real servers: kept as they are, changed when finalized, searched, copied, demanded."""

import pytest

from registry_grpc.v1 import events_pb2, versions_pb2
from registry_grpc.v1 import governance_pb2 as pb
from registry_grpc.v1 import metadata_pb2 as m
from tests.kit.catalogue import Catalogue
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.governing import Governed
from tests.kit.refusals import refused
from tests.kit.searching import Searcher, short

CARD = m.ModelCard(
    intended_use="Payments of shops",
    limitations="Fails on Überweisungen",
    contacts=["ann@example.org"],
    license="apache-2.0",
    languages=["en", "pt-BR"],
)
HOSTILE = """<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) {{7*7}}

---
a: &a ["x", "x"]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
d: !!python/object/apply:os.system ["true"]
---
"""


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as started:
        yield started


@pytest.fixture
def catalogue(server):
    api = server.api()
    yield Catalogue(api)
    api.close()


def test_a_card_changes_as_a_whole_also_when_the_version_is_frozen(catalogue):
    made = catalogue.ready(catalogue.model(), card=CARD, model_card="# M")
    assert made.card == CARD
    assert catalogue.version(made.name).card == CARD
    changed = catalogue.update(made.name, card=m.ModelCard(limitations="None"))
    assert changed.card == m.ModelCard(limitations="None")
    assert changed.model_card == "# M"
    assert changed.etag != made.etag
    assert catalogue.update(made.name, "owner", owner="ann").card == changed.card
    assert not catalogue.update(made.name, "card").HasField("card")
    stale = refused(catalogue.update, made.name, "card", card=CARD, etag=made.etag)
    assert (stale.code, stale.reason) == ("ABORTED", "ETAG_MISMATCH")
    deep = refused(catalogue.update, made.name, "card.license", card=CARD)
    assert deep.reason == "INVALID_UPDATE_MASK"


@pytest.mark.parametrize(
    ("card", "field"),
    [
        (m.ModelCard(intended_use="x" * 16_385), "intended_use"),
        (m.ModelCard(citation="a\x00b"), "citation"),
        (m.ModelCard(limitations="\x1b[31m"), "limitations"),
        (m.ModelCard(license="x" * 129), "license"),
        (m.ModelCard(contacts=["a\nb"]), "contacts[0]"),
        (m.ModelCard(contacts=["a"] * 17), "contacts"),
        (m.ModelCard(languages=["en"] * 65), "languages"),
        (m.ModelCard(languages=["en", "english please"]), "languages[1]"),
    ],
)
def test_a_card_that_breaks_its_limits_is_refused_by_field(catalogue, card, field):
    refusal = refused(catalogue.draft, catalogue.model(), card=card)
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert refusal.fields == (f"version.card.{field}",)


def test_row_73_a_hostile_card_is_inert_text(catalogue):
    model = catalogue.model()
    made = catalogue.draft(model, card=m.ModelCard(limitations=HOSTILE), model_card=HOSTILE)
    kept = catalogue.version(made.name)
    assert kept.card.limitations == kept.model_card == HOSTILE
    for fields in ({"model_card": "x" * (10 << 20)}, {"card": m.ModelCard(evaluation="x" * (10 << 20))}):
        large = refused(catalogue.draft, model, **fields)
        assert large.code == "RESOURCE_EXHAUSTED"
    long = refused(catalogue.draft, model, model_card="x" * 524_289)
    assert (long.code, long.fields) == ("INVALID_ARGUMENT", ("version.model_card",))


def test_versions_are_found_by_their_cards(catalogue):
    search = Searcher(catalogue.api, catalogue.parent)
    model = catalogue.model("ranker")
    named = catalogue.draft(model, card=CARD)
    catalogue.draft(model, card=m.ModelCard(license="mit", languages=["de"]))
    catalogue.draft(model)
    for asked, found in {
        "card.license = mit": ["ranker/2"],
        "card.license:apache": ["ranker/1"],
        "card.languages:en": ["ranker/1"],
        "card.languages = pt*": ["ranker/1"],
        "NOT card.languages:*": ["ranker/3"],
        'card.license = ""': ["ranker/3"],
    }.items():
        assert search.found(asked) == found, asked
    (facet,) = search.versions(facets=["card.license"]).facets
    assert {each.value: each.count for each in facet.values} == {"": 1, "apache-2.0": 1, "mit": 1}
    (hit,) = search.versions(query="überw").matches
    assert short(hit.version.name) == "ranker/1"
    assert "Überweisungen" in hit.snippet
    assert not hit.version.HasField("card")
    assert search.versions(query="überw", view=2).matches[0].version.card == CARD
    catalogue.update(named.name, card=m.ModelCard(license="mit"))
    assert search.found("card.license = mit") == ["ranker/1", "ranker/2"]
    assert search.found(query="überw") == []


def test_copies_and_events_of_a_card(catalogue):
    made = catalogue.ready(catalogue.model(), card=CARD)
    source, target = made.name, catalogue.model()
    copied = catalogue.api.models.CopyVersion(versions_pb2.CopyVersionRequest(parent=target, source=source))
    assert copied.card == CARD
    seen = []
    watch = catalogue.api.events.Watch(
        events_pb2.WatchRequest(parent=target, after_revision=made.revision, resource_types=["ModelVersion"]),
        timeout=30,
    )
    for message in watch:
        seen += [event.version for event in message.events if event.version.name == copied.name]
        if seen:
            break
    watch.cancel()
    assert seen[0].manifest_digest == made.manifest_digest
    assert not seen[0].HasField("card")


def test_a_policy_can_demand_parts_of_the_card(server):
    governed = Governed(server)
    paths = ["card.intended_use", "card.contacts", "card"]
    governed.policy(pb.PolicyRule(id="card", required_fields=pb.RequiredFields(paths=paths)))
    version = governed.staged(card=m.ModelCard(limitations="few"))
    refusal = refused(governed.catalogue.promote, version.name, "production")
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "POLICY_VIOLATION")
    assert "card.intended_use" in refusal.text
    governed.catalogue.update(version.name, card=CARD)
    assert governed.catalogue.promote(version.name, "production").stage.version == version.name
    wrong = pb.PolicyRule(id="card", required_fields=pb.RequiredFields(paths=["card.color"]))
    unknown = refused(governed.policy, wrong)
    assert unknown.reason == "INVALID_FIELD"
    assert "limitations" in unknown.text
    asked = pb.PolicyRule(id="cel", expression=pb.Expression(expression="version.card.license == 'apache-2.0'"))
    governed.policy(asked, stages=("staging",))
    other = governed.catalogue.ready(governed.model)
    assert refused(governed.catalogue.promote, other.name, "staging").reason == "POLICY_VIOLATION"
    governed.catalogue.update(other.name, card=CARD)
    assert governed.catalogue.promote(other.name, "staging").stage.version == other.name
    governed.close()
