"""The dashboard: a row for each question somebody on call asks, in the order they ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from _slo.promql import BURN, LEFT, RATIO
from registry_grpc.observability.objectives import Objectives

UID = "registry-grpc"
SCHEMA = 39
WIDTH = 24
HEIGHT = 8
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_GRPC = 'grpc_service=~"registry_grpc.v1.+"'


@dataclass(frozen=True)
class Panel:
    """A picture of some queries: PromQL to its legend."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    width: int = 8
    kind: str = "timeseries"
    least: float | None = None
    most: float | None = None


def dashboard(slo: Objectives) -> dict[str, Any]:
    """The whole document."""
    return {
        "annotations": {"list": []},
        "editable": True,
        "graphTooltip": 1,
        "links": [],
        "panels": list(_laid_out(_rows(slo))),
        "refresh": "30s",
        "schemaVersion": SCHEMA,
        "tags": ["registry-grpc", "slo"],
        "templating": {
            "list": [
                {
                    "current": {},
                    "hide": 0,
                    "label": "Prometheus",
                    "name": "datasource",
                    "query": "prometheus",
                    "refresh": 1,
                    "type": "datasource",
                }
            ]
        },
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "title": "Model registry",
        "uid": UID,
        "version": 1,
    }


def _rows(slo: Objectives) -> dict[str, Sequence[Panel]]:
    of = f'service="{slo.service}"'
    return {
        "Is a promise about to break?": _budgets(slo, of),
        "Who calls, and what becomes of it?": _calls(),
        "Do uploads get through?": _uploads(),
        "How is the artifact store?": _storage(),
        "Does news arrive?": _news(),
        "How are the processes?": _processes(),
    }


def _budgets(slo: Objectives, of: str) -> Sequence[Panel]:
    return [
        Panel(
            f"Budget left of {slo.period.text}",
            {f"{LEFT}{{{of}}}": "{{slo}}"},
            unit="percentunit",
            kind="bargauge",
            least=0,
            most=1,
        ),
        Panel("Burn over 1 h (page above 14.4)", {f'{BURN}{{{of}, window="1h"}}': "{{slo}}"}),
        Panel("Bad events over 5 m", {f'{RATIO}{{{of}, window="5m"}}': "{{slo}}"}, unit="percentunit"),
    ]


def _calls() -> Sequence[Panel]:
    started = f"sum by (grpc_method) (rate(grpc_server_started_total{{{_GRPC}}}[5m]))"
    failed = f'sum by (grpc_method, grpc_code) (rate(grpc_server_handled_total{{{_GRPC}, grpc_code!="OK"}}[5m])) > 0'
    slow = (
        "histogram_quantile({quantile}, "
        "sum by (le, grpc_method) (rate(grpc_server_handling_seconds_bucket{{{of}}}[5m])))"
    )
    unary = f'{_GRPC}, grpc_type="unary"'
    resolve = 'grpc_service="registry_grpc.v1.StageService", grpc_method="Resolve"'
    return [
        Panel("Calls a second", {f"topk(10, {started})": "{{grpc_method}}"}, unit="reqps"),
        Panel("Calls that fail, by code", {failed: "{{grpc_method}} {{grpc_code}}"}, unit="reqps"),
        Panel("Calls in flight", {"sum by (grpc_type) (registry_grpc_in_flight)": "{{grpc_type}}"}),
        Panel(
            "Slowest unary calls, p99",
            {f"topk(10, {slow.format(quantile=0.99, of=unary)})": "{{grpc_method}}"},
            unit="s",
            width=12,
        ),
        Panel(
            "Resolve",
            {slow.format(quantile=quantile, of=resolve): f"p{quantile * 100:g}" for quantile in (0.5, 0.99, 0.999)},
            unit="s",
            width=12,
        ),
        Panel(
            "Answers of Resolve",
            {"sum by (source, result) (rate(registry_resolve_total[5m]))": "{{source}} {{result}}"},
            unit="reqps",
        ),
        Panel("Refused for credentials", {"sum by (reason) (rate(registry_auth_failures_total[5m]))": "{{reason}}"}),
        Panel("Refused by a limit", {"sum by (limit) (rate(registry_limited_total[5m]))": "{{limit}}"}),
    ]


def _uploads() -> Sequence[Panel]:
    served = "sum by (le) (rate(registry_upload_served_bytes_per_second_bucket[30m]))"
    return [
        Panel(
            "Uploads that end, by outcome",
            {"sum by (outcome) (rate(registry_uploads_finished_total[5m]))": "{{outcome}}"},
        ),
        Panel("Upload streams open", {"sum(registry_uploads_in_progress)": "open"}),
        Panel(
            "Bytes",
            {
                "sum(rate(registry_upload_bytes_total[5m]))": "in",
                "sum(rate(registry_download_bytes_total[5m]))": "out",
            },
            unit="Bps",
        ),
        Panel(
            "Throughput without waiting for clients",
            {f"histogram_quantile({quantile}, {served})": f"p{quantile * 100:g}" for quantile in (0.05, 0.5)},
            unit="Bps",
            width=12,
        ),
        Panel(
            "What uploads wait for",
            {"sum by (on) (rate(registry_upload_wait_seconds_total[5m]))": "{{on}}"},
            unit="s",
            width=12,
        ),
    ]


def _storage() -> Sequence[Panel]:
    seconds = "sum by (le, op) (rate(registry_storage_seconds_bucket[5m]))"
    unwell = 'sum by (op, outcome) (rate(registry_storage_requests_total{outcome!="ok"}[5m])) > 0'
    return [
        Panel(
            "Requests that do not end well",
            {unwell: "{{op}} {{outcome}}"},
            unit="reqps",
        ),
        Panel("Requests, p99", {f"histogram_quantile(0.99, {seconds})": "{{op}}"}, unit="s"),
        Panel(
            "Free",
            {"min by (source) (registry_storage_free_bytes / registry_storage_capacity_bytes)": "{{source}}"},
            unit="percentunit",
            least=0,
            most=1,
        ),
        Panel("Stored, by state", {"max by (state) (registry_storage_bytes)": "{{state}}"}, unit="bytes"),
        Panel(
            "Blobs damaged, and age of the oldest check",
            {
                "max(registry_scrub_damaged_blobs)": "damaged",
                "max(registry_scrub_oldest_seconds) / 86400": "days since the oldest check",
            },
        ),
        Panel(
            "Garbage removed",
            {"sum by (kind) (rate(registry_garbage_bytes_total[1h]))": "{{kind}}"},
            unit="Bps",
        ),
    ]


def _news() -> Sequence[Panel]:
    delay = "sum by (le) (rate(registry_stage_event_delay_seconds_bucket[5m]))"
    return [
        Panel(
            "News of stages at watches",
            {f"histogram_quantile({quantile}, {delay})": f"p{quantile * 100:g}" for quantile in (0.5, 0.99)},
            unit="s",
        ),
        Panel("Watches open", {"sum(registry_watches_open)": "open"}),
        Panel("Lag of the change feed", {"max(registry_feed_lag_seconds)": "worst replica"}, unit="s"),
        Panel(
            "Changes of stages",
            {"sum by (action, outcome) (rate(registry_stage_transitions_total[5m]))": "{{action}} {{outcome}}"},
        ),
        Panel(
            "Attempts at webhooks",
            {"sum by (outcome) (rate(registry_webhook_attempts_total[5m]))": "{{outcome}}"},
        ),
        Panel(
            "Oldest event that waits for a webhook",
            {"max(registry_webhook_outbox_age_seconds)": "age"},
            unit="s",
        ),
    ]


def _processes() -> Sequence[Panel]:
    certificate = "min(registry_tls_certificate_expiry_timestamp_seconds > 0) - time()"
    return [
        Panel("Lag of the event loop", {"max(registry_event_loop_lag_seconds)": "worst replica"}, unit="s"),
        Panel(
            "Since jobs of the leader ended well",
            {"time() - max by (task) (registry_job_last_success_timestamp_seconds)": "{{task}}"},
            unit="s",
        ),
        Panel("Jobs that fail", {"sum by (task) (increase(registry_job_failures_total[1h]))": "{{task}}"}),
        Panel("Until the first certificate ends", {certificate: "certificate"}, unit="s"),
        Panel("Usage that was counted wrong", {"sum(increase(registry_usage_repaired_total[1d]))": "projects"}),
        Panel("Versions that run", {"count by (version) (registry_build_info)": "{{version}}"}),
    ]


def _laid_out(rows: dict[str, Sequence[Panel]]) -> Iterator[dict[str, Any]]:
    """Panels with their places, from left to right under the title of their row."""
    number, top = 0, 0
    for title, panels in rows.items():
        number += 1
        yield {
            "collapsed": False,
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": top},
            "id": number,
            "panels": [],
            "title": title,
            "type": "row",
        }
        top, left = top + 1, 0
        for panel in panels:
            number += 1
            if left + panel.width > WIDTH:
                top, left = top + HEIGHT, 0
            yield _drawn(panel, number, left, top)
            left += panel.width
        top += HEIGHT


def _drawn(panel: Panel, number: int, left: int, top: int) -> dict[str, Any]:
    bounds = {name: value for name, value in (("min", panel.least), ("max", panel.most)) if value is not None}
    return {
        "datasource": _DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, **bounds}, "overrides": []},
        "gridPos": {"h": HEIGHT, "w": panel.width, "x": left, "y": top},
        "id": number,
        "options": {"orientation": "horizontal"} if panel.kind == "bargauge" else {},
        "targets": [
            {
                "datasource": _DATASOURCE,
                "expr": expr,
                "instant": panel.kind == "bargauge",
                "legendFormat": legend,
                "refId": chr(ord("A") + at),
            }
            for at, (expr, legend) in enumerate(panel.queries.items())
        ],
        "title": panel.title,
        "type": panel.kind,
    }
