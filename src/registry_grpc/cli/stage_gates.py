"""`mreg stages`: explain a promotion, freeze and unfreeze."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_grpc.cli.context import Globals, version_name
from registry_grpc.cli.failures import ExitCode

app = typer.Typer(help="Stages: what they hold, and whether anything may move.", no_args_is_help=True)
_Model = Annotated[str, typer.Argument(help="Model.")]
_Stage = Annotated[str, typer.Argument(help="Stage.")]


@app.command("list")
def list_stages(ctx: typer.Context, model: _Model) -> None:
    """List the stages of a model, with their holders."""
    from registry_grpc.cli import output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.list_stages(model), views.STAGES, views.name)


@app.command()
def evaluate(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(help="Version, e.g. fraud/7.")],
    *,
    to: Annotated[str, typer.Option("--to", metavar="STAGE", help="Stage it would come into.")],
) -> None:
    """Say, rule by rule, whether a promotion would be refused; exit code 1 when it would."""
    from registry_grpc.cli import governance_views, output

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        answer = registry.evaluate(version_name(registry, ref), to)
    output.show_list(chosen.output, answer.checks, governance_views.CHECKS, lambda check: check.rule)
    if answer.approvals_missing:
        chosen.note(f"{answer.approvals_missing} approvals are missing")
    if not answer.allowed:
        raise typer.Exit(ExitCode.ERROR)


@app.command()
def freeze(
    ctx: typer.Context,
    model: _Model,
    stage: _Stage,
    *,
    reason: Annotated[str, typer.Option("-m", "--reason", help="Why.")],
) -> None:
    """Let nothing move in or out of a stage."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        frozen = registry.freeze(model, stage, reason)
    chosen.note(f"{frozen.name} is frozen by {frozen.frozen_by}: {frozen.freeze_reason}")


@app.command()
def unfreeze(ctx: typer.Context, model: _Model, stage: _Stage) -> None:
    """Let things move again."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        chosen.note(f"{registry.unfreeze(model, stage).name} is not frozen")
