"""Holds a version to the rules of policies: facts in, results out; one function per kind of rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from registry_grpc.domain import policies as rules
from registry_grpc.domain.comparing import (
    against_holder,
    bounded,
    compatible,
    growing,
)
from registry_grpc.domain.fields import is_empty, value_at
from registry_grpc.domain.promotion import CheckResult, Decision
from registry_grpc.domain.windows import open_window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from registry_grpc.domain.evidence import Evidence, ModelSignature
    from registry_grpc.domain.pointers import Assignment
    from registry_grpc.domain.policies import Demand, Policy, PolicyRule
    from registry_grpc.domain.promotion import Approval, Approver
    from registry_grpc.domain.resources import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that rules may ask. What no rule asks for may be left empty."""

    version: Version
    holder: Version | None
    """Who holds the stage; None for nobody."""
    stage: str
    now: datetime
    moves: Sequence[Assignment] = ()
    """Stage history of the version, the newest first."""
    approvals: Sequence[Approval] = ()
    """Decisions on the open request; those with a `void_reason` do not count."""
    approvers: dict[str, Approver]
    signatures: Sequence[ModelSignature] = ()
    evidence: Sequence[Evidence] = ()
    holds: Callable[[str], bool] | None = None
    """Works out a CEL expression; None where there is no compiler. Raises: ValueError."""


class Outcome(NamedTuple):
    """How one demand came out."""

    passed: bool
    observed: str
    required: str
    hint: str = ""
    missing: int = 0
    """Approvals that are missing."""


def _yes(observed: str, required: str) -> Outcome:
    return Outcome(passed=True, observed=observed, required=required)


def _no(observed: str, required: str, hint: str = "") -> Outcome:
    return Outcome(passed=False, observed=observed, required=required, hint=hint)


class Evaluation(NamedTuple):
    """How all of them came out."""

    checks: tuple[CheckResult, ...]
    approvals_missing: int


def evaluate(policies: Sequence[Policy], facts: Facts) -> Evaluation:
    """Every rule of the policies, in their order."""
    checks: list[CheckResult] = []
    missing = 0
    for policy in policies:
        for rule in policy.rules:
            outcome = _EVALUATORS[type(rule.demand)](rule.demand, facts)
            checks.append(_result(policy, rule, outcome))
            if not rule.advisory:
                missing = max(missing, outcome.missing)
    return Evaluation(tuple(checks), missing)


def _result(policy: Policy, rule: PolicyRule, outcome: Outcome) -> CheckResult:
    return CheckResult(
        policy=str(policy.name),
        policy_version=policy.policy_version,
        rule=rule.id,
        kind=rule.demand.kind,
        passed=outcome.passed,
        observed=outcome.observed,
        required=outcome.required,
        hint="" if outcome.passed else rule.description or outcome.hint,
        advisory=rule.advisory,
    )


def kinds_of(policies: Sequence[Policy]) -> frozenset[type[Demand]]:
    """What kinds of demands they make: facts for others need not be gathered."""
    return frozenset(type(rule.demand) for policy in policies for rule in policy.rules)


def approval_lives(policies: Sequence[Policy]) -> list[timedelta | None]:
    """How long an approval counts, for each rule that counts approvals and refuses without; None for ever."""
    demands = (rule.demand for policy in policies for rule in policy.rules if not rule.advisory)
    return [demand.max_age for demand in demands if isinstance(demand, rules.RequiredApprovals)]


def _fields(demand: rules.RequiredFields, facts: Facts) -> Outcome:
    empty = [path for path in demand.paths if is_empty(value_at(facts.version, path))]
    required = f"not empty: {', '.join(demand.paths)}"
    if not empty:
        return _yes("all are filled", required)
    return _no(f"empty: {', '.join(empty)}", required, "fill them with UpdateVersion, or in a new version")


def _bound(demand: rules.MetricBound, facts: Facts) -> Outcome:
    passed, observed, required = bounded(demand, facts.version.metadata.metrics)
    return Outcome(passed, observed, required, "a version with a better value is needed")


def _against(demand: rules.MetricAgainstHolder, facts: Facts) -> Outcome:
    if facts.holder is None:
        return _yes("nobody holds the stage", "not worse than the holder")
    passed, observed, required = against_holder(demand, facts.version.metadata.metrics, facts.holder.metadata.metrics)
    return Outcome(passed, observed, required, f"compare with {facts.holder.name}")


def _earlier(demand: rules.EarlierStage, facts: Facts) -> Outcome:
    required = f"{demand.soak_time} in {demand.stage}"
    left: Assignment | None = None
    for move in facts.moves:
        if move.stage == demand.stage:
            until = facts.now if left is None else left.assign_time
            spent = until - move.assign_time
            return Outcome(spent >= demand.soak_time, f"{spent} in {demand.stage}", required, "wait, then try again")
        if move.from_stage == facts.stage:
            continue  # it was displaced, and is to come back: what brought it here still counts
        if move.stage != facts.stage:
            break  # it left for somewhere else: what it was before does not count
        left = move
    return _no(f"is in {facts.version.stage or 'no stage'}", required, f"promote it to {demand.stage} first")


def _signature_fits(_: rules.CompatibleSignature, facts: Facts) -> Outcome:
    required = "takes what the holder takes and gives what it gives"
    if facts.holder is None:
        return _yes("nobody holds the stage", required)
    fault = compatible(facts.version.metadata.signature, facts.holder.metadata.signature)
    return Outcome(not fault, fault or "compatible", required, f"compare with {facts.holder.name}")


def _label(_: rules.GrowingLabel, facts: Facts) -> Outcome:
    if facts.holder is None:
        return _yes("nobody holds the stage", "a SemVer label above the holder's")
    passed, observed, required = growing(facts.version.version_label, facts.holder.version_label)
    return Outcome(passed, observed, required, "set version_label with UpdateVersion")


def _approvals(demand: rules.RequiredApprovals, facts: Facts) -> Outcome:
    who = f" with {' or '.join(demand.roles)}" if demand.roles else ""
    counted = sorted(each.principal for each in facts.approvals if _counts(each, demand, facts))
    missing = max(0, demand.count - len(counted))
    return Outcome(
        not missing,
        f"{len(counted)}: {', '.join(counted)}" if counted else "none that counts",
        f"{demand.count} of other people{who}",
        "open a promotion request, or ask people to approve the one that is open",
        missing,
    )


def _counts(approval: Approval, demand: rules.RequiredApprovals, facts: Facts) -> bool:
    if approval.decision is not Decision.APPROVED or approval.void_reason:
        return False
    if demand.max_age is not None and facts.now - approval.time > demand.max_age:
        return False
    approver = facts.approvers.get(approval.principal)
    return approver is not None and (not demand.roles or bool(approver.roles & set(demand.roles)))


def _signature(demand: rules.RequiredSignature, facts: Facts) -> Outcome:
    signers = {each.trusted_signer for each in facts.signatures if each.verdict == "valid" and each.trusted_signer}
    wanted = set(demand.trusted_signers)
    found = signers & wanted if wanted else signers
    return Outcome(
        bool(found),
        f"valid by {', '.join(sorted(found))}" if found else "no valid signature by one of them",
        f"a valid signature by {' or '.join(demand.trusted_signers) or 'any trusted signer of the project'}",
        "sign the version, and add the signature with AddSignature",
    )


def _evidence(demand: rules.RequiredEvidence, facts: Facts) -> Outcome:
    fitting = [each for each in facts.evidence if _fits(each, demand, facts)]
    newest = max(fitting, key=lambda each: each.run_time, default=None)
    what = " ".join(filter(None, (demand.evidence_kind, f"by {demand.tool}" if demand.tool else "")))
    age = f" of the last {demand.max_age}" if demand.max_age else ""
    observed = f"{newest.outcome}, {newest.tool} at {newest.run_time:%Y-%m-%d %H:%M:%SZ}" if newest else "there is none"
    passed = newest is not None and newest.outcome == "passed"
    return Outcome(passed, observed, f"passed: {what}{age}", "add it with AddEvidence; the newest one counts")


def _fits(each: Evidence, demand: rules.RequiredEvidence, facts: Facts) -> bool:
    if each.kind != demand.evidence_kind or (demand.tool and each.tool != demand.tool):
        return False
    if demand.reporters and each.reporter not in demand.reporters:
        return False
    return demand.max_age is None or facts.now - each.run_time <= demand.max_age


def _formats(demand: rules.AllowedFormats, facts: Facts) -> Outcome:
    refused = [
        f"{found.name} ({found.example_path})"
        for found in facts.version.formats
        if (demand.formats and found.name not in demand.formats) or (demand.no_executable and found.executable)
    ]
    required = f"only {', '.join(demand.formats)}" if demand.formats else "any format"
    required += ", none that can run code" if demand.no_executable else ""
    seen = ", ".join(found.name for found in facts.version.formats) or "none"
    return Outcome(not refused, ", ".join(refused) or seen, required, "store the model in another format")


def _windows(demand: rules.FreezeWindows, facts: Facts) -> Outcome:
    shut = open_window(demand, facts.now)
    return Outcome(not shut, shut or f"{facts.now:%Y-%m-%d %H:%M:%SZ}", "outside of every window", "wait until it ends")


def _expression(demand: rules.Expression, facts: Facts) -> Outcome:
    if facts.holds is None:
        return _no("this program cannot work out expressions", demand.expression)
    try:
        passed = facts.holds(demand.expression)
    except ValueError as error:
        return _no(str(error), demand.expression)
    return Outcome(passed, "true" if passed else "false", demand.expression)


_EVALUATORS: dict[type, Callable[[Any, Facts], Outcome]] = {
    rules.RequiredFields: _fields,
    rules.MetricBound: _bound,
    rules.MetricAgainstHolder: _against,
    rules.EarlierStage: _earlier,
    rules.CompatibleSignature: _signature_fits,
    rules.GrowingLabel: _label,
    rules.RequiredApprovals: _approvals,
    rules.RequiredSignature: _signature,
    rules.RequiredEvidence: _evidence,
    rules.AllowedFormats: _formats,
    rules.FreezeWindows: _windows,
    rules.Expression: _expression,
}
