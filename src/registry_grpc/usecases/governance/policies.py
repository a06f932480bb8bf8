"""Policies: create, read, change, delete. Every change is a new version, and the versions stay."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain import policies as rules
from registry_grpc.domain.errors import Reason, RegistryError, Violation, invalid_fields
from registry_grpc.domain.events import Action
from registry_grpc.domain.fields import path_fault
from registry_grpc.domain.policies import MAX_EXPRESSIONS, MAX_POLICIES, Policy
from registry_grpc.domain.windows import window_fault, zone_fault
from registry_grpc.usecases.checks import require_etag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.governance_names import PolicyName
    from registry_grpc.domain.names import ProjectName
    from registry_grpc.domain.policies import PolicyRule
    from registry_grpc.domain.resources import Project
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.governance import Expressions
    from registry_grpc.ports.store import Reader, Store, Unit


def policy_not_found(name: PolicyName) -> RegistryError:
    """The error for an absent policy."""
    return RegistryError(
        Reason.POLICY_NOT_FOUND,
        f"{name} does not exist; list the policies of {name.parent} to see those that do",
        resource=name,
    )


def known_policy(reader: Reader, name: PolicyName, version: int = 0) -> Policy:
    """The present version, or that one.

    Raises: POLICY_NOT_FOUND, PROJECT_NOT_FOUND.
    """
    reader.projects.get(name.project)
    found = reader.policies.version(name, version) if version else reader.policies.get(name)
    if found is None:
        raise policy_not_found(name)
    return found


def held_project(unit: Unit, call: Call[Any], project: str) -> Project:
    """The project, locked: no promotion in it is under way, and none begins before this one is over.

    Raises: PROJECT_NOT_FOUND, PERMISSION_MISSING.
    """
    unit.projects.require(project)
    found = unit.projects.lock(project)
    call.grant.require(found.name, tags=(found.tags,))
    return found


@dataclass(frozen=True, slots=True)
class CreatePolicy:
    """Creates a policy, in force at once."""

    store: Store
    ids: Ids
    expressions: Expressions | None

    def __call__(self, call: Call[Policy], name: PolicyName, fields: Mapping[str, Any]) -> Committed[Policy]:
        """A policy under the id of a deleted one goes on counting its versions.

        Raises: PROJECT_NOT_FOUND, RESOURCE_EXISTS, QUOTA_EXCEEDED, INVALID_FIELD, PERMISSION_MISSING.
        """
        uid = self.ids.uuid()

        def work(unit: Unit) -> Policy:
            project = held_project(unit, call, name.project)
            if unit.policies.get(name) is not None:
                raise RegistryError(Reason.RESOURCE_EXISTS, f"{name} exists already; choose another id", resource=name)
            if unit.policies.count(name.project) >= MAX_POLICIES:
                raise RegistryError(
                    Reason.QUOTA_EXCEEDED,
                    f"{name.parent} has {MAX_POLICIES} policies, which is the limit; delete one that is not needed",
                    resource=name.parent,
                    quota="policies",
                    limit=MAX_POLICIES,
                )
            number = unit.policies.newest(name) + 1
            draft = {"stages": (), "rules": (), **fields}
            policy = Policy(
                **draft,
                uid=uid,
                name=name,
                policy_version=number,
                create_time=unit.now,
                update_time=unit.now,
                editor=call.principal.name,
            )
            check_policy(policy, project, self.expressions)
            policy = replace(policy, revision=unit.advance(str(name)))
            unit.policies.put(policy)
            unit.record(Action.CREATED, policy)
            return policy

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class GetPolicy:
    """One policy."""

    store: Store

    def __call__(self, name: PolicyName, version: int) -> Policy:
        """Raises: POLICY_NOT_FOUND, PROJECT_NOT_FOUND."""
        return self.store.read(lambda reader: known_policy(reader, name, version))


@dataclass(frozen=True, slots=True)
class ListPolicies:
    """Policies of a project, by id."""

    store: Store

    def __call__(self, parent: ProjectName, *, after: str, limit: int) -> Sequence[Policy]:
        """A keyset page.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Policy]:
            reader.projects.get(parent.project)
            return reader.policies.list(parent.project, after=after, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class ListPolicyVersions:
    """Versions of a policy, the newest first."""

    store: Store

    def __call__(self, name: PolicyName, *, before: int, limit: int) -> Sequence[Policy]:
        """A keyset page, also of a deleted policy.

        Raises: POLICY_NOT_FOUND, PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Policy]:
            reader.projects.get(name.project)
            found = reader.policies.versions(name, before=before, limit=limit)
            if not found and not before:
                raise policy_not_found(name)
            return found

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """Changes a policy: a new version, under which approvals are given anew."""

    store: Store
    expressions: Expressions | None

    def __call__(
        self, call: Call[Policy], name: PolicyName, etag: str, changes: Mapping[str, Any]
    ) -> Committed[Policy]:
        """Raises: POLICY_NOT_FOUND, ETAG_MISMATCH, INVALID_FIELD, PERMISSION_MISSING."""

        def work(unit: Unit) -> Policy:
            project = held_project(unit, call, name.project)
            before = known_policy(unit, name)
            require_etag(before, etag)
            after = replace(
                before,
                **changes,
                policy_version=before.policy_version + 1,
                update_time=unit.now,
                editor=call.principal.name,
            )
            check_policy(after, project, self.expressions)
            after = replace(after, revision=unit.advance(str(name)))
            unit.policies.put(after)
            unit.record(Action.UPDATED, after)
            return after

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class DeletePolicy:
    """Deletes a policy; its versions can still be read."""

    store: Store

    def __call__(self, call: Call[None], name: PolicyName, etag: str) -> Committed[None]:
        """Raises: POLICY_NOT_FOUND, ETAG_MISMATCH, PERMISSION_MISSING."""

        def work(unit: Unit) -> None:
            held_project(unit, call, name.project)
            before = known_policy(unit, name)
            require_etag(before, etag)
            revision = unit.advance(str(name))
            after = replace(before, delete_time=unit.now, update_time=unit.now, revision=revision)
            unit.policies.retire(after)
            unit.record(Action.DELETED, after)

        return self.store.write(work, call)


def check_policy(policy: Policy, project: Project | None, expressions: Expressions | None) -> None:
    """Refuse a policy that says nothing, or what nobody can fulfil. Without a project its stages are not looked at.

    Raises: INVALID_FIELD naming every fault.
    """
    faults = tuple(_faults(policy, project, expressions))
    if faults:
        raise invalid_fields(faults)


def _faults(policy: Policy, project: Project | None, expressions: Expressions | None) -> Iterator[Violation]:
    known = {stage.id for stage in project.stages} if project else None
    if not policy.stages:
        yield Violation("policy.stages", "is required: name the stages it guards")
    for at, stage in enumerate(policy.stages):
        if known is not None and stage not in known:
            yield Violation(
                f"policy.stages[{at}]", f"{stage!r} is no stage of the project; it has {', '.join(sorted(known))}"
            )
        if project is not None and any(each.id == stage and each.initial for each in project.stages):
            yield Violation(
                f"policy.stages[{at}]",
                f"{stage!r} is the initial stage: finalized versions enter it without a promotion",
            )
    if not policy.rules:
        yield Violation("policy.rules", "is required: one rule at least")
    expressive = sum(isinstance(rule.demand, rules.Expression) for rule in policy.rules)
    if expressive > MAX_EXPRESSIONS:
        yield Violation("policy.rules", f"{expressive} are expressions; {MAX_EXPRESSIONS} may be")
    ids = [rule.id for rule in policy.rules]
    for at, rule in enumerate(policy.rules):
        if ids.index(rule.id) != at:
            yield Violation(f"policy.rules[{at}].id", f"{rule.id!r} appears twice")
        for field, fault in _rule_faults(rule, known, expressions):
            yield Violation(f"policy.rules[{at}].{rule.demand.kind}.{field}", fault)


def _rule_faults(  # noqa: C901 - a case for each kind that can be wrong
    rule: PolicyRule, stages: set[str] | None, expressions: Expressions | None
) -> Iterator[tuple[str, str]]:
    match rule.demand:
        case rules.RequiredFields(paths):
            yield from ((f"paths[{at}]", fault) for at, path in enumerate(paths) if (fault := path_fault(path)))
        case rules.MetricBound(bound=bound) if not math.isfinite(bound):
            yield "bound", f"is {bound}; must be finite"
        case rules.MetricAgainstHolder(relative_tolerance=relative, absolute_tolerance=absolute):
            for name, value in (("relative_tolerance", relative), ("absolute_tolerance", absolute)):
                if not (math.isfinite(value) and value >= 0):
                    yield name, f"is {value}; must be finite and not negative"
        case rules.EarlierStage(stage) if stages is not None and stage not in stages:
            yield "stage", f"{stage!r} is no stage of the project; it has {', '.join(sorted(stages))}"
        case rules.RequiredApprovals(count) if not 1 <= count <= rules.MAX_APPROVALS:
            yield "count", f"is {count}; must be 1 to {rules.MAX_APPROVALS}"
        case rules.AllowedFormats(formats, no_executable) if not formats and not no_executable:
            yield "formats", "allows everything; name formats, or set no_executable"
        case rules.FreezeWindows(windows, time_zone):
            yield from (("time_zone", fault) for fault in (zone_fault(time_zone),) if fault)
            yield from ((f"windows[{at}]", fault) for at, one in enumerate(windows) if (fault := window_fault(one)))
        case rules.Expression(text):
            fault = expressions.fault(text) if expressions else "this server has no compiler for expressions"
            if fault:
                yield "expression", fault
