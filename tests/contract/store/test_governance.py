"""Policies and promotion requests over a store of either engine, with nothing in between."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, text

from registry_grpc.domain import policies as rules
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.policies import MAX_EXPRESSIONS
from registry_grpc.domain.promotion import Decision
from registry_grpc.domain.resources import StageDefinition
from registry_grpc.domain.stages import DEFAULT_STAGES
from registry_grpc.usecases.deletion import DeleteVersion, UndeleteVersion
from registry_grpc.usecases.governance.gate import Gate, Judgement
from registry_grpc.usecases.governance.settling import ExpireRequests
from registry_grpc.usecases.projects import UpdateProject
from tests.promises.governance.place import OWNER, Place, approvals, call, reason_of

HOUR = timedelta(hours=1)
ADA, BOB, BOT = "user:ada", "user:bob", "serviceAccount:ci"


@pytest.fixture
def place(store):
    made = Place(store)
    for who in (ADA, BOB, BOT):
        made.bind("approver", who)
    return made


class Open(Gate):
    """A gate that asks nothing."""

    def judge(self, *_, **__):
        return Judgement()


def statements(act):
    seen = []
    listen = (Engine, "before_cursor_execute", lambda *given: seen.append(given[2].split()[0]))
    event.listen(*listen)
    try:
        act()
    finally:
        event.remove(*listen)
    return seen


def test_a_promotion_without_a_policy_costs_one_statement_more(store):
    def cost(gate):
        place = Place(store)
        place.gate = gate
        first, second = place.ready(), place.ready()
        place.promote(first)
        return statements(lambda: place.promote(second))

    guarded, free = cost(Gate()), cost(Open())
    assert len(guarded) == len(free) + 1, (guarded, free)


def test_an_approval_that_got_too_old_is_void_and_can_be_given_anew(place):
    place.policy("p", approvals(1, max_age=HOUR))
    number = place.ready()
    request = place.ask(number, "user:cem").name
    assert place.decide(request, ADA).state == "approved"
    place.pass_time(2 * HOUR)
    (seen,) = place.request(request).approvals
    assert "older" in seen.void_reason
    assert reason_of(lambda: place.promote(number)) == "APPROVAL_REQUIRED"
    assert place.decide(request, ADA).state == "approved"
    place.promote(number)


def test_an_approval_too_old_for_one_rule_still_counts_for_the_other(place):
    fresh = rules.PolicyRule("fresh", rules.RequiredApprovals(1, max_age=HOUR))
    place.policy("p", fresh, rules.PolicyRule("two", rules.RequiredApprovals(2)))
    request = place.ask(place.ready(), "user:cem").name
    place.decide(request, ADA)
    place.pass_time(2 * HOUR)
    assert place.decide(request, BOB).state == "approved"
    place.pass_time(2 * HOUR)
    assert place.request(request).state == "pending"
    assert place.decide(request, ADA).state == "approved"


def test_a_fast_rollback_asks_nobody_and_is_no_fulfilment_of_a_request(place):
    first, second = place.ready(), place.ready()
    place.promote(first)
    place.promote(second)
    place.policy("p", approvals(2), fast_rollback=True)
    request = place.ask(first, "user:cem").name
    place.decide(request, ADA, Decision.REJECTED)
    change = place.rollback()
    assert (change.after.number, change.promotion_request) == (first, "")
    assert place.request(request).state == "superseded"


def test_what_brought_a_version_to_production_still_counts_when_it_is_rolled_back_to(place):
    place.policy("p", rules.PolicyRule("soak", rules.EarlierStage("staging", HOUR)))
    first, second = (place.ready(stage="development") for _ in range(2))
    for number in (first, second):
        place.promote(number, "staging")
    assert reason_of(lambda: place.promote(first)) == "POLICY_VIOLATION"
    place.pass_time(2 * HOUR)
    place.promote(first)
    place.promote(second)
    assert place.rollback().after.number == first
    # Whoever went elsewhere meanwhile begins again.
    place.promote(second, "staging")
    assert reason_of(lambda: place.promote(second)) == "POLICY_VIOLATION"


def test_the_no_of_a_program_stands_and_its_yes_is_refused(place):
    number = place.ready()
    request = place.ask(number, "user:cem").name
    assert reason_of(lambda: place.decide(request, BOT)) == "PERMISSION_MISSING"
    assert place.decide(request, BOT, Decision.REJECTED).state == "rejected"
    assert reason_of(lambda: place.promote(number)) == "APPROVAL_REQUIRED"
    explained = {check.kind: check.passed for check in place.evaluate(number).checks}
    assert explained["rejection"] is False


def test_a_rejection_outlives_every_change(place):
    place.policy("p", approvals(1))
    number = place.ready()
    request = place.ask(number, "user:cem").name
    place.decide(request, ADA, Decision.REJECTED)
    place.change_policy("p", description="new")
    place.promote(place.ready(), break_glass=True, justification="fire")
    again = place.ask(number, "user:cem").name
    place.decide(again, ADA, Decision.REJECTED)
    place.vacate()
    place.decide(again, BOB)
    assert place.request(again).state == "rejected"
    assert reason_of(lambda: place.promote(number)) == "APPROVAL_REQUIRED"


def test_a_version_comes_back_from_deletion_outside_of_a_guarded_stage(place):
    open_stages = tuple(
        StageDefinition(each.id, exclusive=each.exclusive, initial=each.initial, accepts_from=each.accepts_from)
        if each.id != "production"
        else StageDefinition("production", exclusive=True, accepts_from=("staging",), displaced_to="archived")
        for each in DEFAULT_STAGES
    )
    UpdateProject(place.store)(call(), place.project, "", {"stages": open_stages})
    number = place.ready()
    place.promote(number)
    name = place.name.version(number)
    delete, undelete = DeleteVersion(place.store, (), 24 * HOUR), UndeleteVersion(place.store, HOUR)
    delete(call(), name, "")
    assert undelete(call(), name, "").get().stage == "production"
    delete(call(), name, "")
    place.policy("p", approvals(1))
    assert undelete(call(), name, "").get().stage == ""
    assert place.holder() == 0


def test_the_initial_stage_is_not_guarded(place):
    assert reason_of(lambda: place.policy("p", OWNER, stages=("development",))) == "INVALID_FIELD"
    place.policy("p", OWNER, stages=("staging",))
    stages = tuple(
        StageDefinition(each.id, initial=each.id == "staging", accepts_from=("*",), exclusive=False)
        for each in DEFAULT_STAGES
    )
    change = UpdateProject(place.store)
    assert reason_of(lambda: change(call(), place.project, "", {"stages": stages})) == "INVALID_FIELD"


def test_a_policy_for_a_stage_that_is_gone_guards_nothing_until_it_is_back(place):
    place.policy("p", approvals(1), stages=("production", "staging"))
    request = place.ask(place.ready(stage="development"), "user:cem", "staging").name
    number = place.ready(stage="development")
    rest = tuple(
        StageDefinition(each.id, initial=each.initial, accepts_from=("*",))
        for each in DEFAULT_STAGES
        if each.id != "staging"
    )
    change = UpdateProject(place.store)
    change(call(), place.project, "", {"stages": rest})
    assert place.request(request).state == "pending"
    assert reason_of(lambda: place.promote(number, "staging")) == "STAGE_NOT_FOUND"
    assert reason_of(lambda: place.promote(number)) == "APPROVAL_REQUIRED"
    # A change of the policy says what is wrong with it now.
    assert reason_of(lambda: place.change_policy("p", description="x")) == "INVALID_FIELD"
    place.change_policy("p", stages=("production",), disabled=True)
    place.promote(number)


def test_a_policy_is_for_the_models_it_names(place):
    place.policy("p", approvals(1), models=("fraud-*", "spam"))
    place.promote(place.ready())
    place.change_policy("p", models=("?",))
    assert reason_of(lambda: place.promote(place.ready())) == "APPROVAL_REQUIRED"


def test_every_fault_of_a_policy_is_named_by_its_field(place):
    bad = (
        rules.PolicyRule("a", rules.RequiredApprovals(11)),
        rules.PolicyRule("a", rules.RequiredFields(("nope", "owner"))),
        rules.PolicyRule("b", rules.EarlierStage("nowhere")),
        rules.PolicyRule("c", rules.MetricBound(rules.MetricSelector("auc"), rules.Comparison.ABOVE, float("nan"))),
        rules.PolicyRule("d", rules.AllowedFormats()),
        *(rules.PolicyRule(f"e{n}", rules.Expression("true")) for n in range(MAX_EXPRESSIONS + 1)),
    )
    with pytest.raises(RegistryError) as error:
        place.policy("p", *bad, stages=("production", "moon"))
    found = {violation.subject for violation in error.value.violations}
    assert found >= {
        "policy.stages[1]",
        "policy.rules",
        "policy.rules[1].id",
        "policy.rules[0].approvals.count",
        "policy.rules[1].required_fields.paths[0]",
        "policy.rules[2].earlier_stage.stage",
        "policy.rules[3].metric.bound",
        "policy.rules[4].formats.formats",
    }


def test_requests_end_with_their_time(place):
    number = place.ready()
    request = place.ask(number, "user:cem").name
    place.pass_time(timedelta(days=15))
    assert reason_of(lambda: place.decide(request, ADA)) == "PROMOTION_CLOSED"
    assert reason_of(lambda: place.commit(request)) == "PROMOTION_CLOSED"
    assert ExpireRequests(place.store)() == 1
    assert place.request(request).state == "expired"
    assert place.ask(number, "user:cem").name.number == 2


def test_the_audit_trail_says_what_became_of_a_request(place):
    number = place.ready()
    request = place.ask(number, "user:cem").name
    place.promote(number)
    newest = text("SELECT changes FROM audit ORDER BY audit_index DESC LIMIT 1")
    told = json.loads(place.store.read(lambda reader: reader.session.connection.execute(newest).scalar()))
    fields = {each["field"]: each for one in told if one["resource"] == str(request) for each in one["fields"]}
    assert (fields["state"]["before"], fields["state"]["after"]) == ("pending", "committed")
