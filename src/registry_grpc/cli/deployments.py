"""`mreg deployments`, `mreg drift` and `mreg consumers`: what runs where, whether it should, and who uses what."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, Output
from registry_grpc.cli.stages import TIME_FORMATS

if TYPE_CHECKING:
    from registry_grpc.v1 import deployments_pb2

DRIFTS = 3
"""Exit code of `mreg drift` when something differs."""
app = typer.Typer(help="What runs where, as its reporters say.", no_args_is_help=True)
_Ref = Annotated[str, typer.Argument(help="MODEL, or a version such as fraud/7; everything when left out.")]
_Environment = Annotated[str, typer.Option("--environment", "-e", help="Only in this environment.")]
_Cluster = Annotated[str, typer.Option("--cluster", help="Only in this cluster.")]
_Limit = Annotated[int, typer.Option("-n", "--limit", min=1, help="Most rows.")]
_Name = Annotated[str, typer.Argument(help="Resource name, or its id in the project.")]


def _show(chosen: Globals, deployment: deployments_pb2.Deployment) -> None:
    from registry_grpc.cli import deployment_views, output, views

    output.show_one(chosen.output, deployment, deployment_views.DEPLOYMENT, views.name)


@app.command("list")
def list_deployments(
    ctx: typer.Context,
    ref: _Ref = "",
    *,
    environment: _Environment = "",
    cluster: _Cluster = "",
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only in this state, also `retired`; repeatable.")
    ] = None,
    stale: Annotated[bool, typer.Option("--stale", help="Only those nothing was heard of for too long.")] = False,
    limit: _Limit = 1000,
) -> None:
    """List deployments, the newest first: `mreg deployments list fraud/7` tells who still runs version 7."""
    from itertools import islice

    from registry_grpc.cli import deployment_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        found = registry.deployments.list(
            ref, environment=environment, cluster=cluster, states=state or (), stale_only=stale
        )
        output.show_list(chosen.output, islice(found, limit), deployment_views.DEPLOYMENTS, views.name)


@app.command()
def report(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(help="Version that runs, e.g. fraud/7, or fraud@production to follow a stage.")],
    workload: Annotated[str, typer.Argument(help="What runs it: a deployment, service or job.")],
    *,
    environment: Annotated[str, typer.Option("--environment", "-e", help="Where it belongs, e.g. prod-eu.")],
    cluster: Annotated[str, typer.Option("--cluster", help="Cluster it runs in.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", help="Namespace in the cluster.")] = "",
    slot: Annotated[str, typer.Option("--slot", help="Tells apart what runs side by side, e.g. canary.")] = "",
    stage: Annotated[str, typer.Option("--stage", help="Stage it follows; that of REF when it names one.")] = "",
    state: Annotated[
        str, typer.Option("--state", help="pending, rolling_out, serving, degraded or failed.")
    ] = "serving",
    traffic: Annotated[
        int | None, typer.Option("--traffic", min=0, max=100, help="Share of the traffic, per cent.")
    ] = None,
    digest: Annotated[str, typer.Option("--digest", help="Manifest digest of what runs, as it was verified.")] = "",
    message: Annotated[str, typer.Option("--message", help="What there is to say about the state.")] = "",
    ttl: Annotated[
        str, typer.Option("--ttl", metavar="TIME", help="Stale after this without a word, e.g. 90s; 5m unless given.")
    ] = "",
    etag: options.Etag = "",
) -> None:
    """Report what a workload runs. Reported again unchanged it is a heartbeat."""
    chosen: Globals = ctx.obj
    fields: dict[str, Any] = {"traffic_percent": traffic, "message": message, "etag": etag}
    if digest:
        fields["manifest_digest"] = digest
    with chosen.registry() as registry:
        reported = registry.deployments.report(
            ref,
            environment=environment,
            workload=workload,
            state=state,
            cluster=cluster,
            namespace=namespace,
            slot=slot,
            stage=stage,
            heartbeat_ttl=options.period(ttl) if ttl else None,
            **fields,
        )
        _show(chosen, reported)


@app.command()
def retire(ctx: typer.Context, deployment: _Name, *, etag: options.Etag = "") -> None:
    """Say that a workload does not run the model any more; a report brings it back."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        gone = registry.deployments.retire(deployment, etag=etag)
        chosen.note(f"{gone.name} is retired")


@app.command()
def runs(
    ctx: typer.Context,
    ref: _Ref = "",
    *,
    environment: _Environment = "",
    cluster: _Cluster = "",
    at: Annotated[
        datetime | None, typer.Option(formats=TIME_FORMATS, help="Only what ran then, e.g. 2026-11-21T03:04:05Z.")
    ] = None,
    begin: Annotated[
        datetime | None, typer.Option("--from", formats=TIME_FORMATS, help="Only what ran then or later.")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=TIME_FORMATS, help="Only what ran before.")] = None,
    limit: _Limit = 1000,
) -> None:
    """Show what ran where and when, the newest first: `--cluster X --at T` is what cluster X ran at T."""
    from itertools import islice

    from registry_grpc.cli import deployment_views, output

    chosen: Globals = ctx.obj
    if at is not None and (begin is not None or end is not None):
        raise typer.BadParameter("--at is a moment; leave --from and --to out")
    with chosen.registry() as registry:
        found = registry.deployments.runs(
            ref, environment=environment, cluster=cluster, from_time=at or begin, to_time=at or end
        )
        output.show_list(chosen.output, islice(found, limit), deployment_views.RUNS, lambda run: run.version)


def drift(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="Model; the whole project when left out.")] = "",
    *,
    environment: _Environment = "",
    cluster: _Cluster = "",
) -> None:
    """Compare what runs with what should run. Exit code 3 when something differs."""
    from registry_grpc.cli import deployment_views, output

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        found = list(registry.deployments.drift(model, environment=environment, cluster=cluster))
    if found or chosen.output is not Output.TABLE:
        output.show_list(chosen.output, found, deployment_views.DRIFTS, lambda one: one.deployment.name)
    else:
        print("nothing differs: every deployment runs what it should")
    if found:
        raise typer.Exit(DRIFTS)


def consumers(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(help="MODEL, or a version such as fraud/7.")],
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="How far back.")] = 30,
    limit: _Limit = 1000,
) -> None:
    """Show who resolved or downloaded which version, by day. The last minute may be missing."""
    from datetime import UTC, timedelta
    from itertools import islice

    from registry_grpc.cli import deployment_views, output

    chosen: Globals = ctx.obj
    first = datetime.now(UTC).date() - timedelta(days=days)
    with chosen.registry() as registry:
        found = registry.deployments.consumers(ref, first_day=first)
        output.show_list(chosen.output, islice(found, limit), deployment_views.CONSUMERS, lambda one: one.principal)
