"""`mreg lineage` and `mreg runs`: what came from what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, Output
from registry_grpc.cli.groups import ShowsByDefault

if TYPE_CHECKING:
    from registry_grpc.client.lineage_graph import LineageGraph
    from registry_grpc.v1 import lineage_pb2

FORMS = ("tree", "dot", "mermaid", "openlineage", "prov")
"""What `-o` takes here besides the forms of every command."""

app = typer.Typer(cls=ShowsByDefault, help="What came from what.", no_args_is_help=True)
runs = typer.Typer(help="Runs of training, preparation and evaluation.", no_args_is_help=True)
_Node = Annotated[
    str,
    typer.Argument(
        metavar="NODE",
        help="fraud/7, fraud@production, dataset:churn@3, run:ID, code:REPO@REVISION, source:, step:, features:, "
        "external:, report: or deployment: with an id, or a resource name.",
    ),
]
_Upstream = Annotated[str, typer.Argument(metavar="FROM", help="What it came from.")]
_Relation = Annotated[str, typer.Option("--relation", help="e.g. trained_on; that of their types when left out.")]


@app.command()
def show(
    ctx: typer.Context,
    node: _Node,
    *,
    downstream: Annotated[bool, typer.Option("--downstream", "-d", help="What came from it.")] = False,
    depth: Annotated[int, typer.Option("--depth", min=1, max=50, help="How far.")] = 10,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only nodes of this type, e.g. deployment; repeatable.")
    ] = None,
    form: Annotated[str, typer.Option("-o", "--output", help="tree, json, dot, mermaid, openlineage or prov.")] = "",
) -> None:
    """Show what a node came from, or with --downstream what came from it: who runs what a dataset went into."""
    if form and form not in FORMS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join((*FORMS, 'json', 'yaml', 'name'))}")
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        walk = registry.lineage.downstream if downstream else registry.lineage.upstream
        graph = walk(node, depth=depth, types=types or ())
        project = registry.project_name()
    _print(chosen, graph, form, project)
    if graph.truncated:
        chosen.note(f"more lies further than {depth} steps; ask with --depth")


def _print(chosen: Globals, graph: LineageGraph, form: str, project: str) -> None:
    from registry_grpc.cli import lineage_views, output
    from registry_grpc.client import lineage_exports as exports

    match form or str(chosen.output):
        case "dot":
            print(exports.to_dot(graph))
        case "mermaid":
            print(exports.to_mermaid(graph))
        case "prov":
            output.data(Output.JSON, exports.to_prov(graph))
        case "openlineage":
            output.data(Output.JSON, exports.to_openlineage(graph, f"mreg://{project}"))
        case "json" | "yaml":
            output.data(chosen.output, lineage_views.plain(graph))
        case "name":
            for each in graph.nodes:
                print(output.cell(each))
        case _:
            print(lineage_views.tree(graph))


@app.command()
def link(
    ctx: typer.Context,
    downstream: _Node,
    upstream: _Upstream,
    *,
    relation: _Relation = "",
) -> None:
    """Say that NODE came from FROM."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        made = registry.lineage.link(downstream, upstream, relation)
    print(f"{made.downstream} {made.relation.lower().replace('_', ' ')} {made.upstream}")


@app.command()
def unlink(
    ctx: typer.Context,
    downstream: _Node,
    upstream: _Upstream,
    *,
    relation: _Relation = "",
) -> None:
    """Take a link back."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        registry.lineage.unlink(downstream, upstream, relation)


_Run = Annotated[str, typer.Argument(metavar="RUN", help="Resource name, or its id in the project.")]


def _show(chosen: Globals, run: lineage_pb2.Run) -> None:
    from registry_grpc.cli import lineage_views, output, views

    output.show_one(chosen.output, run, lineage_views.RUN, views.name)


@runs.command()
def record(
    ctx: typer.Context,
    run: _Run,
    *,
    inputs: Annotated[list[str] | None, typer.Option("--input", "-i", metavar="NODE", help="Repeatable.")] = None,
    outputs: Annotated[list[str] | None, typer.Option("--made", "-m", metavar="NODE", help="Repeatable.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="preprocessing, training or evaluation.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="succeeded or failed.")] = None,
    system: Annotated[str, typer.Option("--system", help="What ran it, e.g. airflow.")] = "",
    uri: Annotated[str, typer.Option("--uri", help="Where people find it.")] = "",
    display_name: options.DisplayName = None,
    code: Annotated[str, typer.Option("--code", metavar="REPO@REVISION", help="The code it ran.")] = "",
    parameter: Annotated[list[str] | None, typer.Option("--param", metavar="KEY=VALUE", help="Repeatable.")] = None,
    start: Annotated[str | None, typer.Option("--start", help="When it began, RFC 3339.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="When it ended, RFC 3339.")] = None,
    etag: options.Etag = "",
) -> None:
    """Record a run with what it took and what it made; one that is known is replaced."""
    chosen: Globals = ctx.obj
    repository, _, revision = code.rpartition("@")
    with chosen.registry() as registry:
        made = registry.runs.record(
            run,
            inputs=inputs or (),
            outputs=outputs or (),
            kind=kind,
            outcome=outcome,
            system=system,
            uri=uri,
            display_name=display_name,
            code={"repository": repository or revision, "revision": revision if repository else ""} if code else None,
            parameters=options.typed(parameter, "--param"),
            start_time=start,
            end_time=end,
            etag=etag,
        )
    _show(chosen, made)


@runs.command()
def get(ctx: typer.Context, run: _Run) -> None:
    """Show a run."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.runs.get(run))


@runs.command("list")
def list_runs(
    ctx: typer.Context, *, limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Most rows.")] = 1000
) -> None:
    """List the runs of the project, the newest first."""
    from itertools import islice

    from registry_grpc.cli import lineage_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, islice(registry.runs.list(), limit), lineage_views.RUNS, views.name)


@runs.command()
def delete(ctx: typer.Context, run: _Run, *, etag: options.Etag = "") -> None:
    """Delete a run with the edges it recorded."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        registry.runs.delete(run, etag=etag)
