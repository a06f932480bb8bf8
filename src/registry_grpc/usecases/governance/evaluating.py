"""What PromoteVersion would say, rule by rule; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.promotion import CheckResult
from registry_grpc.domain.stages import require_assignable, require_transition, stage_of
from registry_grpc.usecases.checks import live_model
from registry_grpc.usecases.governance.gate import Attempt, Gate, require_unfrozen, require_unrejected
from registry_grpc.usecases.placement import stage_pointer

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry_grpc.domain.names import VersionName
    from registry_grpc.domain.resources import Version
    from registry_grpc.ports.store import Reader, Store

_RECOMMENDED = ("owner", "description", "model_card", "version_label", "framework", "task", "signature", "metrics")


@dataclass(frozen=True, slots=True)
class Explanation:
    """How every rule came out."""

    allowed: bool
    checks: tuple[CheckResult, ...]
    approvals_missing: int
    promotion_request: str
    recommended_fields: tuple[str, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class EvaluatePromotion:
    """Explains a promotion before anybody tries it."""

    store: Store
    gate: Gate

    def __call__(self, name: VersionName, stage_id: str) -> Explanation:
        """Raises: MODEL_NOT_FOUND, VERSION_NOT_FOUND, STAGE_NOT_FOUND."""

        def work(reader: Reader) -> Explanation:
            model = live_model(reader, name.parent)
            stage = stage_of(reader.projects.get(name.project), stage_id)
            version = reader.versions.get(name)
            before = stage_pointer(reader, model, stage.id)
            leaves = stage_pointer(reader, model, version.stage) if version.stage else None
            judgement = self.gate.judge(reader, Attempt(model, stage, version, before))
            own = (
                _check("state", lambda: require_assignable(version), "READY or DEPRECATED"),
                _check(
                    "transition",
                    lambda: None if version.stage == stage.id else require_transition(version, stage, rollback=False),
                    f"from {', '.join(stage.accepts_from) or 'nowhere'}",
                ),
                _check("freeze", lambda: require_unfrozen(before, leaves), "not frozen"),
                _check("rejection", lambda: require_unrejected(judgement), "nobody rejects it"),
            )
            return Explanation(
                allowed=all(check.passed for check in own) and judgement.allowed,
                checks=own + judgement.checks,
                approvals_missing=judgement.approvals_missing,
                promotion_request=str(judgement.request.name) if judgement.request else "",
                recommended_fields=tuple(_empty(version)),
                revision=reader.feed.head(),
            )

        return self.store.read(work, snapshot=True)


def _check(kind: str, rule: Callable[[], object], required: str) -> CheckResult:
    try:
        rule()
    except RegistryError as refusal:
        return CheckResult("", 0, kind, kind, passed=False, observed=refusal.message, required=required)
    return CheckResult("", 0, kind, kind, passed=True, observed="fulfilled", required=required)


def _empty(version: Version) -> list[str]:
    return [
        path for path in _RECOMMENDED if not (getattr(version, path, None) or getattr(version.metadata, path, None))
    ]
