"""The objectives in the form of Sloth's `prometheus/v1`, for who generates rules with it. Its windows are its own."""

from __future__ import annotations

from typing import Any

from _slo.promql import bad, total
from registry_grpc.observability.objectives import Objective, Objectives

WINDOW = "{{.window}}"


def sloth_spec(slo: Objectives) -> dict[str, Any]:
    """The whole document."""
    return {
        "version": "prometheus/v1",
        "service": slo.service,
        "slos": [_slo(slo, each) for each in slo.objectives],
    }


def _slo(slo: Objectives, objective: Objective) -> dict[str, Any]:
    return {
        "name": objective.name,
        "objective": round(objective.target * 100, 7),
        "description": objective.summary,
        "sli": {"events": {"error_query": bad(objective, WINDOW), "total_query": total(objective, WINDOW)}},
        "alerting": {
            "name": objective.alert,
            "annotations": {"runbook_url": f"{slo.runbooks}/{objective.alert}.md"},
            "page_alert": {"labels": {"severity": "page"}},
            "ticket_alert": {"labels": {"severity": "ticket"}},
        },
    }
