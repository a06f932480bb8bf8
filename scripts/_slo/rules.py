"""Recording rules and alerts, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from _slo.promql import BAD, BURN, EVALUATION, LEFT, RATE, RATIO, TARGET, TOTAL, Pace, bad, total
from registry_grpc.observability.objectives import BurnAlert, Objective, Objectives, Span

Rule = dict[str, Any]
_HUMANIZE = {"number": "humanize", "percentage": "humanizePercentage", "duration": "humanizeDuration"}


def rule_groups(slo: Objectives, pace: Pace) -> dict[str, list[Rule]]:
    """The whole rule file. Each group is evaluated in order, so a rule sees what those above it just recorded."""
    every = pace.span(EVALUATION)
    return {
        "groups": [
            {"name": f"{slo.service}-slo", "interval": every, "rules": list(_recordings(slo, pace))},
            {"name": f"{slo.service}-burn", "interval": every, "rules": list(_burn_alerts(slo, pace))},
            {"name": f"{slo.service}-alerts", "interval": every, "rules": list(_alerts(slo, pace))},
        ]
    }


def _recordings(slo: Objectives, pace: Pace) -> Iterator[Rule]:
    window = pace.span(RATE)
    for each in slo.objectives:
        labels = {"service": slo.service, "slo": each.name}
        yield {"record": TOTAL, "labels": labels, "expr": total(each, window)}
        yield {"record": BAD, "labels": labels, "expr": bad(each, window)}
        yield {"record": TARGET, "labels": labels, "expr": f"vector({each.target:g})"}
    of = f'{{service="{slo.service}"}}'
    for span in slo.windows:
        if span.seconds == RATE.seconds:
            above, below = f"{BAD}{of}", f"{TOTAL}{of}"
        else:
            above, below = (f"sum_over_time({name}{of}[{pace.span(span)}])" for name in (BAD, TOTAL))
        # Without traffic there is no ratio, rather than one that is not a number.
        yield {"record": RATIO, "labels": {"window": span.text}, "expr": f"{above} / ({below} > 0)"}
    yield {"record": BURN, "expr": f"{RATIO}{of} / on (service, slo) group_left () (1 - {TARGET}{of})"}
    yield {
        "record": LEFT,
        "expr": f'1 - {RATIO}{{service="{slo.service}", window="{slo.period.text}"}} '
        f"/ on (service, slo) (1 - {TARGET}{of})",
    }


def _burn_alerts(slo: Objectives, pace: Pace) -> Iterator[Rule]:
    for objective in slo.objectives:
        for burn in slo.burn_alerts:
            # One rule for each pair of windows: of `A or B` an alert would show the value of A alone.
            yield {
                "alert": objective.alert,
                "expr": _burning(slo, objective, burn, pace),
                "labels": {
                    "severity": burn.severity,
                    "service": slo.service,
                    "slo": objective.name,
                    "window": burn.long.text,
                },
                "annotations": {
                    "summary": f"{objective.name}: the error budget burns {burn.factor:g} times too fast",
                    "description": f"{objective.summary} The objective is {objective.target * 100:g} %; of the last "
                    f"{burn.long.text}, {{{{ $value | humanizePercentage }}}} were bad.",
                    "runbook_url": f"{slo.runbooks}/{objective.alert}.md",
                },
            }


def _burning(slo: Objectives, objective: Objective, burn: BurnAlert, pace: Pace) -> str:
    limit = f"{burn.factor * objective.budget:.6g}"
    of = f'service="{slo.service}", slo="{objective.name}"'

    def above(span: Span) -> str:
        return f'{RATIO}{{{of}, window="{span.text}"}} > {limit}'

    # What was recorded is a rate, every so many seconds: together they are the number of events, give or take a part of
    # one, and complete when the rate has forgotten the last of them. By then the short window has too.
    seconds = EVALUATION.seconds / pace.scale
    enough = f"sum_over_time({BAD}{{{of}}}[{pace.span(burn.long)}]) * {seconds:g} > {slo.least_bad - 0.5:g}"
    return f"{above(burn.long)}\nand on (service, slo)\n{above(burn.short)}\nand on (service, slo)\n{enough}"


def _alerts(slo: Objectives, pace: Pace) -> Iterator[Rule]:
    for alert in slo.alerts:
        rule: Rule = {"alert": alert.name, "expr": alert.expr}
        if alert.lasting:
            rule["for"] = pace.span(alert.lasting)
        yield rule | {
            "labels": {"severity": alert.severity, "service": slo.service},
            "annotations": {
                "summary": alert.summary,
                "description": f"{alert.summary} It stands at {{{{ $value | {_HUMANIZE[alert.shown]} }}}}.",
                "runbook_url": f"{slo.runbooks}/{alert.name}.md",
            },
        }
