"""Rules of policies, each held against versions that do and do not fulfil it."""

import dataclasses
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_grpc.cli.policies import read_policy
from registry_grpc.cli.policy_trial import try_policy
from registry_grpc.domain import policies as rules
from registry_grpc.domain.evaluation import Facts, evaluate
from registry_grpc.domain.evidence import Evidence, EvidenceKind, EvidenceOutcome
from registry_grpc.domain.evidence_names import EvidenceName
from registry_grpc.domain.fields import path_fault
from registry_grpc.domain.governance_names import PolicyName
from registry_grpc.domain.metadata import (
    DataType,
    Direction,
    Format,
    Metadata,
    Metric,
    ModelCard,
    Signature,
    TensorSpec,
)
from registry_grpc.domain.names import VersionName
from registry_grpc.domain.pointers import Assignment, StageAction
from registry_grpc.domain.policies import Comparison, MetricSelector, Policy, PolicyRule, Window
from registry_grpc.domain.promotion import Approval, Approver, Binding, Decision
from registry_grpc.domain.resources import Version, VersionState
from registry_grpc.domain.semver import precedence
from registry_grpc.services.codec.governance import policy_to_wire
from registry_grpc.services.codec.rules import rule_from_wire, rule_to_wire
from registry_grpc.services.codec.versions import version_to_wire
from registry_grpc.services.expressions import CelExpressions
from registry_grpc.storage.sql.documents import POLICY
from registry_grpc.v1 import governance_pb2

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday
DOCS = Path(__file__).parents[2] / "docs/policies"


def version(number=2, **values):
    return Version(
        uid=f"v{number}",
        model_uid="m",
        name=VersionName("p", "m", number),
        state=VersionState.READY,
        create_time=NOW,
        update_time=NOW,
        **values,
    )


def measured(*values, **more):
    return Metadata(metrics=tuple(Metric("auc", value, **more) for value in values))


def holds(demand, mine=None, holder=None, **facts):
    given_facts = Facts(
        version=mine or version(),
        holder=holder,
        stage="production",
        now=NOW,
        **{"approvers": {}, **facts},
    )
    return evaluate([policy(demand)], given_facts).checks[0].passed


def policy(*demands, **values):
    return Policy(
        uid="u",
        name=PolicyName("p", "a"),
        stages=("production",),
        rules=tuple(PolicyRule(f"r{at}", demand) for at, demand in enumerate(demands)),
        create_time=NOW,
        update_time=NOW,
        **values,
    )


AUC = MetricSelector("auc")
EVERY_KIND = (
    rules.RequiredFields(("owner", "tags.team")),
    rules.MetricBound(AUC, Comparison.AT_LEAST, 0.5),
    rules.MetricAgainstHolder(AUC, Direction.MINIMISE, 0.1, 0.2, holder_required=True),
    rules.EarlierStage("staging", timedelta(hours=1)),
    rules.CompatibleSignature(),
    rules.GrowingLabel(),
    rules.RequiredApprovals(2, ("roles/approver",), timedelta(days=1)),
    rules.RequiredSignature(("projects/p/trustedSigners/s",)),
    rules.RequiredEvidence("scan", "tool", timedelta(days=1), ("user:ci",)),
    rules.AllowedFormats(("onnx",), no_executable=True),
    rules.FreezeWindows((Window((1,), "10:00", "11:00"), Window(start_time=NOW, end_time=NOW)), "Europe/Berlin"),
    rules.Expression("true"),
)


def test_every_kind_of_rule_survives_the_wire_and_the_database():
    assert {type(each) for each in EVERY_KIND} == set(rules.Demand.__args__)
    whole = policy(*EVERY_KIND)
    assert POLICY.decode(POLICY.encode(whole)) == whole
    assert tuple(rule_from_wire(rule_to_wire(rule), "rule") for rule in whole.rules) == whole.rules


def test_every_kind_of_rule_is_explained():
    facts = Facts(version=version(), holder=version(1), stage="production", now=NOW, approvers={})
    for check in evaluate([policy(*EVERY_KIND)], facts).checks:
        assert check.observed
        assert check.required


@pytest.mark.parametrize(
    ("path", "mine", "passed"),
    [
        ("owner", version(owner="ada"), True),
        ("owner", version(), False),
        ("tags.team", version(tags={"team": "core"}), True),
        ("tags.team", version(tags={"other": "core"}), False),
        ("metrics", version(metadata=measured(1.0)), True),
        ("code.revision", version(), False),
        ("card", version(), False),
        ("card", version(card=ModelCard()), False),
        ("card", version(card=ModelCard(license="mit")), True),
        ("card.limitations", version(card=ModelCard(license="mit")), False),
        ("card.limitations", version(), False),
        ("card.contacts", version(card=ModelCard(contacts=("ann",))), True),
    ],
)
def test_required_fields(path, mine, passed):
    assert holds(rules.RequiredFields((path,)), mine) is passed


@pytest.mark.parametrize("path", ["nope", "tags.", "code.nope", "owner.x", "framework.name.x", "card.color"])
def test_a_path_that_leads_nowhere_is_refused(path):
    assert path_fault(path)


@given(value=st.floats(), bound=st.floats(allow_nan=False, allow_infinity=False))
def test_a_bound_is_the_comparison_and_nan_fulfils_none(value, bound):
    mine = version(metadata=measured(value))
    expected = {
        Comparison.AT_LEAST: value >= bound,
        Comparison.ABOVE: value > bound,
        Comparison.AT_MOST: value <= bound,
        Comparison.BELOW: value < bound,
    }
    assert {each: holds(rules.MetricBound(AUC, each, bound), mine) for each in Comparison} == expected
    if math.isnan(value):
        assert not any(expected.values())


def test_the_newest_value_counts_and_one_that_is_absent_fails():
    old = Metric("auc", 0.9, measure_time=NOW)
    new = Metric("auc", 0.1, measure_time=NOW + timedelta(hours=1))
    demand = rules.MetricBound(AUC, Comparison.AT_LEAST, 0.5)
    assert not holds(demand, version(metadata=Metadata(metrics=(new, old))))
    assert not holds(demand)


@pytest.mark.parametrize(
    ("mine", "theirs", "demand", "passed"),
    [
        (0.90, 0.90, {}, True),
        (0.89, 0.90, {}, False),
        (0.896, 0.90, {"relative_tolerance": 0.005}, True),
        (0.89, 0.90, {"absolute_tolerance": 0.02}, True),
        (0.1, 0.2, {"direction": Direction.MINIMISE}, True),
        (0.3, 0.2, {"direction": Direction.MINIMISE}, False),
        (0.3, math.nan, {}, False),
        (math.nan, 0.3, {}, False),
    ],
)
def test_a_metric_against_the_holder(mine, theirs, demand, passed):
    given_demand = rules.MetricAgainstHolder(AUC, **{"direction": Direction.MAXIMISE, **demand})
    holder = version(1, metadata=measured(theirs))
    assert holds(given_demand, version(metadata=measured(mine)), holder) is passed
    assert holds(given_demand, version(metadata=measured(mine)))


def test_a_holder_without_the_metric_fails_only_when_it_must_have_it():
    mine, holder = version(metadata=measured(0.5)), version(1)
    assert holds(rules.MetricAgainstHolder(AUC), mine, holder)
    assert not holds(rules.MetricAgainstHolder(AUC, holder_required=True), mine, holder)


def move(stage, hours_ago, revision):
    return Assignment(
        model_uid="m",
        revision=revision,
        index=0,
        stage=stage,
        from_stage="",
        version=VersionName("p", "m", 2),
        version_uid="v2",
        manifest_digest="",
        previous_number=0,
        action=StageAction.PROMOTED,
        actor="",
        justification="",
        request_id="",
        assign_time=NOW - timedelta(hours=hours_ago),
    )


@pytest.mark.parametrize(
    ("stages", "passed"),
    [
        ([("staging", 2)], True),
        ([("staging", 0.5)], False),
        ([("staging", 9), ("development", 5)], False),
        ([("staging", 9), ("production", 5)], True),
        ([("staging", 5.5), ("production", 5)], False),
        ([], False),
    ],
)
def test_time_in_an_earlier_stage(stages, passed):
    moves = [move(stage, hours, at) for at, (stage, hours) in enumerate(stages)][::-1]
    assert holds(rules.EarlierStage("staging", timedelta(hours=1)), moves=moves) is passed


def spec(name="x", kind=DataType.FLOAT32, shape=(-1, 3), **more):
    return TensorSpec(name, kind, shape, **more)


@pytest.mark.parametrize(
    ("mine", "theirs", "passed"),
    [
        (Signature((spec(),), (spec(),)), Signature((spec(),), (spec(),)), True),
        (Signature((spec(shape=(1, 3)),)), Signature((spec(),)), False),
        (Signature((spec(),)), Signature((spec(shape=(1, 3)),)), True),
        (Signature((spec(kind=DataType.INT8),)), Signature((spec(),)), False),
        (Signature((spec(), spec("y"))), Signature((spec(),)), False),
        (Signature((spec(), spec("y", optional=True))), Signature((spec(),)), True),
        (Signature(), Signature((spec(),)), False),
        (Signature((), (spec(),)), Signature((), (spec(shape=(1, 3)),)), False),
        (Signature((), (spec(), spec("y"))), Signature((), (spec(),)), True),
        (None, Signature(), False),
        (Signature((spec(),)), None, True),
    ],
)
def test_a_signature_that_callers_of_the_holder_can_go_on_with(mine, theirs, passed):
    of = Metadata
    assert (
        holds(
            rules.CompatibleSignature(), version(metadata=of(signature=mine)), version(1, metadata=of(signature=theirs))
        )
        is passed
    )


def test_labels_are_ordered_as_semver_says():
    order = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1"
    found = [precedence(label) for label in order.split()]
    assert found == sorted(found)
    assert len(set(found)) == len(found)
    assert precedence("1.0.0+build") == precedence("1.0.0")
    assert [precedence(text) for text in ("v1.0.0", "1.0", "01.0.0", "1.0.0-01", "")] == [None] * 5


@pytest.mark.parametrize(
    ("mine", "theirs", "passed"),
    [("1.1.0", "1.0.9", True), ("1.0.0", "1.0.0", False), ("x", "1.0.0", False), ("1.0.0", "", True)],
)
def test_a_growing_label(mine, theirs, passed):
    assert holds(rules.GrowingLabel(), version(version_label=mine), version(1, version_label=theirs)) is passed


def approval(who="user:ann", **values):
    return Approval(
        **{"principal": who, "decision": Decision.APPROVED, "time": NOW, "binding": Binding("", (), 0), **values}
    )


def test_approvals_that_are_void_too_old_or_of_another_role_do_not_count():
    approvers = {"user:ann": Approver(True, frozenset({"roles/approver"})), "user:bob": Approver(True)}
    one = rules.RequiredApprovals(1)
    assert holds(one, approvals=[approval()], approvers=approvers)
    assert not holds(one, approvals=[approval(void_reason="changed")], approvers=approvers)
    assert not holds(one, approvals=[approval(decision=Decision.REJECTED)], approvers=approvers)
    aged = rules.RequiredApprovals(1, max_age=timedelta(hours=1))
    assert not holds(aged, approvals=[approval(time=NOW - timedelta(hours=2))], approvers=approvers)
    by_role = rules.RequiredApprovals(1, roles=("roles/approver",))
    assert not holds(by_role, approvals=[approval("user:bob")], approvers=approvers)
    assert holds(rules.RequiredApprovals(2), approvals=[approval(), approval("user:bob")], approvers=approvers)


def found(outcome, hours_ago=0, **values):
    return Evidence(
        name=EvidenceName.parse("projects/p/models/m/versions/2/evidence/00000000-0000-4000-8000-000000000000"),
        version_uid="v2",
        outcome=outcome,
        manifest_digest="",
        run_time=NOW - timedelta(hours=hours_ago),
        create_time=NOW,
        **{"kind": EvidenceKind.SCAN, "tool": "picklescan", "reporter": "user:ci", **values},
    )


def test_the_newest_fitting_evidence_decides():
    passed, failed = EvidenceOutcome.PASSED, EvidenceOutcome.FAILED
    demand = rules.RequiredEvidence("scan")
    assert holds(demand, evidence=[found(failed, 2), found(passed, 1)])
    assert not holds(demand, evidence=[found(passed, 2), found(failed, 1)])
    assert not holds(demand, evidence=[found(passed, kind=EvidenceKind.TEST)])
    assert not holds(rules.RequiredEvidence("scan", reporters=("user:other",)), evidence=[found(passed)])
    assert not holds(rules.RequiredEvidence("scan", max_age=timedelta(hours=1)), evidence=[found(passed, 2)])


def test_formats_by_content():
    mine = version(formats=(Format("pickle", True, "model.pkl", 1), Format("onnx", False, "m.onnx", 1)))
    assert not holds(rules.AllowedFormats(no_executable=True), mine)
    assert not holds(rules.AllowedFormats(("onnx",)), mine)
    assert holds(rules.AllowedFormats(("onnx", "pickle")), mine)


@pytest.mark.parametrize(
    ("window", "zone", "shut"),
    [
        (Window((3,), "11:00", "13:00"), "", True),
        (Window((3,), "13:00", "14:00"), "", False),
        (Window((3,), "13:00", "14:00"), "Europe/Berlin", True),
        (Window((2,), "20:00", "12:30"), "", True),
        (Window((3,), "10:00", "12:00"), "", False),
        (Window(start_time=NOW, end_time=NOW + timedelta(seconds=1)), "", True),
        (Window(start_time=NOW - timedelta(days=1), end_time=NOW), "", False),
    ],
)
def test_freeze_windows(window, zone, shut):
    assert holds(rules.FreezeWindows((window,), zone)) is not shut


def test_expressions_see_the_version_the_holder_the_stage_and_the_time():
    cel = CelExpressions()
    mine, holder = version(owner="ada"), version(1)

    def says(text, held=holder):
        return cel.over(mine, held, "production", NOW)(text)

    assert says("version.owner == 'ada' && holder.number == 1 && stage == 'production'")
    assert says("now < timestamp('2027-01-01T00:00:00Z')")
    assert not says("has(holder.name)", None)
    with pytest.raises(ValueError, match="team"):
        says("version.tags['team'] == 'core'")
    assert "nope" in cel.fault("version.nope == 1")
    assert "bool" in cel.fault("version.owner")


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_policies_of_the_documentation_are_ones_that_a_registry_takes(path):
    message = read_policy(path)
    checks = try_policy(message, version_to_wire(version(owner="ada", creator="serviceAccount:ci")), None, "")
    assert [check.rule for check in checks] == [rule.id for rule in message.rules]
    assert isinstance(message, governance_pb2.Policy)


def test_a_policy_guards_the_models_and_stages_it_names():
    name = VersionName("p", "fraud-eu", 1).parent
    assert policy().guards(name, "production")
    assert not policy().guards(name, "staging")
    assert policy(models=("fraud-*",)).guards(name, "production")
    assert not policy(models=("spam",)).guards(name, "production")
    assert not dataclasses.replace(policy(), disabled=True).guards(name, "production")
    assert policy_to_wire(policy()).policy_version == 1
