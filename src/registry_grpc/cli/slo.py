"""`mreg slo`: what is promised, what is left of each error budget, and how fast it burns."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli.context import Globals, Output
from registry_grpc.cli.failures import ExitCode

if TYPE_CHECKING:
    from registry_grpc.cli.prometheus import Prometheus

TARGETS = "registry_slo:target"
RATIOS = "registry_slo:bad_ratio"
SHOWN = ("1h", "6h", "3d")
"""Windows of the table; JSON and YAML have all."""


@dataclass(slots=True)
class Standing:
    """How an objective stands."""

    name: str
    description: str
    target: float
    period: str
    bad: dict[str, float] = field(default_factory=dict)
    """Window to the part of its events that were bad; windows without events are left out."""

    @property
    def left(self) -> float | None:
        """The part of the budget of the period that is left; None without events. Negative: overspent."""
        from registry_grpc.observability.objectives import budget_left

        return budget_left(self.bad[self.period], self.target) if self.period in self.bad else None

    @property
    def burns(self) -> dict[str, float]:
        """Window to how many times too fast the budget burnt in it."""
        from registry_grpc.observability.objectives import burn_rate

        return {window: burn_rate(bad, self.target) for window, bad in self.bad.items()}

    @property
    def is_spent(self) -> bool:
        """Whether nothing of the budget is left."""
        return self.left is not None and self.left <= 0


def slo(
    ctx: typer.Context,
    *,
    prometheus: Annotated[
        str | None,
        typer.Option(envvar="MREG_PROMETHEUS", help="Address of a Prometheus with slo/rules.yaml.", show_default=False),
    ] = None,
) -> None:
    """Show the service level objectives; with --prometheus what is left of each budget and how fast it burns.

    Exits with 1 when a budget is spent.
    """
    from registry_grpc.cli.prometheus import Prometheus, PrometheusError

    chosen: Globals = ctx.obj
    if prometheus is None:
        _show_promises(chosen)
        return
    try:
        standings = measured(Prometheus(prometheus, chosen.timeout_s))
    except PrometheusError as error:
        print(f"mreg: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.UNAVAILABLE) from None
    _show(chosen.output, standings)
    spent = [each.name for each in standings if each.is_spent]
    if spent:
        chosen.note(f"the budget of {', '.join(spent)} is spent; docs/slo.md names the runbooks")
        raise typer.Exit(ExitCode.ERROR)


def measured(prometheus: Prometheus) -> Sequence[Standing]:
    """Every objective as the rules loaded there recorded it: in our order, those of other releases last.

    Raises: PrometheusError, also when the rules are not there.
    """
    from registry_grpc.cli.prometheus import PrometheusError
    from registry_grpc.observability.objectives_document import shipped

    ours = shipped()
    of = f'{{service="{ours.service}"}}'
    targets = {each.labels.get("slo", ""): each.number for each in prometheus.query(TARGETS + of)}
    if not targets:
        raise PrometheusError(
            f"{prometheus.url} has no series {TARGETS}{of}; "
            "load slo/rules.yaml into it, or wait for its first evaluation"
        )
    said = {each.name: each.summary for each in ours.objectives}
    names = [*(name for name in said if name in targets), *sorted(targets.keys() - said.keys())]
    standings = {name: Standing(name, said.get(name, ""), targets[name], ours.period.text) for name in names}
    for each in prometheus.query(RATIOS + of):
        name, window = each.labels.get("slo", ""), each.labels.get("window", "")
        if name in standings and math.isfinite(each.number):
            standings[name].bad[window] = each.number
    return list(standings.values())


def _show(output: Output, standings: Sequence[Standing]) -> None:
    from registry_grpc.cli import output as out

    if output is Output.NAME:
        for each in standings:
            print(each.name)
    elif output is Output.TABLE:
        headings = ["objective", "target", "budget left", *(f"burn {window}" for window in SHOWN), ""]
        print(out.table(headings, [_row(each) for each in standings]))
    else:
        out.data(output, [_plain(each) for each in standings])


def _row(each: Standing) -> list[str]:
    left, burns = each.left, each.burns
    mark = "no traffic" if left is None else "SPENT" if each.is_spent else "ok"
    return [
        each.name,
        _percent(each.target),
        "" if left is None else f"{left:.1%}",
        *(f"{burns[window]:.2f}" if window in burns else "" for window in SHOWN),
        mark,
    ]


def _plain(each: Standing) -> dict[str, Any]:
    return {
        "name": each.name,
        "description": each.description,
        "target": each.target,
        "period": each.period,
        "budget_left": each.left,
        "spent": each.is_spent,
        "burn_rate": each.burns,
        "bad_ratio": each.bad,
    }


def _show_promises(chosen: Globals) -> None:
    """The objectives as the server reports them."""
    from registry_grpc.cli import output as out

    with chosen.registry() as registry:
        promised = registry.server_info().objectives
    columns: out.Columns = {
        "objective": lambda each: each.name,
        "target": lambda each: _percent(each.target),
        "period": lambda each: f"{each.period.seconds // 86400} d",
        "promised": lambda each: each.description,
    }
    out.show_list(chosen.output, promised, columns, lambda each: each.name)
    chosen.note("--prometheus URL shows what is left of each budget")


def _percent(part: float) -> str:
    return f"{part * 100:g} %"
