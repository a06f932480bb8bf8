"""Holds a version to a policy without a server, by the very rules that a server has."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from registry_grpc.domain import policies as rules
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.evaluation import Facts, evaluate
from registry_grpc.domain.governance_names import PolicyName
from registry_grpc.domain.policies import Policy
from registry_grpc.services.codec.governance import check_to_wire, policy_changes
from registry_grpc.services.codec.versions import version_from_wire
from registry_grpc.services.masks import fields_to_create
from registry_grpc.usecases.governance.policies import check_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.ports.governance import Expressions
    from registry_grpc.v1 import governance_pb2, versions_pb2

_LEFT = (rules.RequiredApprovals, rules.RequiredSignature, rules.RequiredEvidence, rules.EarlierStage)
"""What only the registry knows."""


def try_policy(
    message: governance_pb2.Policy,
    version: versions_pb2.ModelVersion,
    holder: versions_pb2.ModelVersion | None,
    stage: str,
) -> Sequence[governance_pb2.CheckResult]:
    """How every rule comes out. Raises: BadParameter for a policy that no registry would take."""
    now = datetime.now(UTC)
    expressions = _expressions()
    try:
        fields = {"stages": (), "rules": (), **policy_changes(message, fields_to_create(message))}
        name = PolicyName.parse(message.name) if message.name else PolicyName("default", "tested")
        policy = Policy(uid="", name=name, create_time=now, update_time=now, **fields)
        check_policy(policy, None, expressions)
        tested = version_from_wire(version)
        holding = None if holder is None else version_from_wire(holder, "holder")
    except RegistryError as error:
        raise typer.BadParameter(error.message) from None
    target = stage or policy.stages[0]
    facts = Facts(
        version=tested,
        holder=holding,
        stage=target,
        now=now,
        approvers={},
        holds=None if expressions is None else expressions.over(tested, holding, target, now),
    )
    left = {rule.id for rule in policy.rules if isinstance(rule.demand, _LEFT)}
    return [
        check_to_wire(
            replace(check, passed=True, observed="left to the registry", hint="") if check.rule in left else check
        )
        for check in evaluate([policy], facts).checks
    ]


def _expressions() -> Expressions | None:
    try:
        from registry_grpc.services.expressions import CelExpressions
    except ImportError:  # only where the server is installed
        return None
    return CelExpressions()
