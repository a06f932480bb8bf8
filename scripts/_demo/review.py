"""The part of whoever answers for production: a small policy guards it, and a second person says yes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _demo.deployment import Deployment
from _demo.page import require, say
from registry_grpc.client import FailedPrecondition, Registry
from registry_grpc.v1.governance_pb2 import PromotionRequest
from registry_grpc.v1.versions_pb2 import ModelVersion

REVIEWER = "user:reviewer"
RULES = (
    {
        "id": "good-enough",
        "metric": {
            "metric": {"metric": "auc", "slice": "validation"},
            "comparison": "COMPARISON_AT_LEAST",
            "bound": 0.9,
        },
    },
    {"id": "four-eyes", "approvals": {"count": 1}},
)


@contextmanager
def guarded(registry: Registry, deployment: Deployment, work: Path) -> Iterator[Registry]:
    """The client of a second person, who may approve what comes into the production that is guarded from now on."""
    registry.policies.create("release", stages=["production"], rules=RULES, fast_rollback=True)
    registry.create_role_binding("approver", [REVIEWER])
    secret = registry.issue_token(REVIEWER).secret
    say("Production is guarded: auc of 0.9 on validation rows, and the yes of somebody who did not make the model.")
    with Registry(deployment.endpoint, token=secret, cache_dir=work / "cache-of-reviewer") as reviewer:
        yield reviewer


def review(registry: Registry, reviewer: Registry, version: ModelVersion) -> None:
    """Ask for the promotion; without an approval it is refused, and nobody approves what is their own."""
    try:
        registry.promote(version.location, "production", reason="nobody has looked")
    except FailedPrecondition as error:
        require(error.reason == "APPROVAL_REQUIRED", f"a promotion nobody approved is {error.reason}")
    else:
        require(holds=False, failure="a promotion nobody approved went through")
    request = registry.promotion_requests.create(version.name, "production", reason="please look")
    approved = reviewer.promotion_requests.approve(request.name, "metrics and card read")
    require(approved.state == PromotionRequest.STATE_APPROVED, f"{request.name} is not approved")
    say(f"Refused without a yes (APPROVAL_REQUIRED); {REVIEWER} approved promotion request {request.name[-1]}.")
