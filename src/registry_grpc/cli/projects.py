"""`mreg projects`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals

if TYPE_CHECKING:
    from registry_grpc.v1 import projects_pb2

app = typer.Typer(help="Projects: the tenants, and the stages their models move through.", no_args_is_help=True)
_Project = Annotated[str, typer.Argument(help="Project.")]
_Stages = Annotated[
    Path | None,
    typer.Option("--stages", help="YAML or JSON list of stages; see the `stages` of `projects get -o yaml`."),
]


def _show(chosen: Globals, project: projects_pb2.Project) -> None:
    from registry_grpc.cli import output, views

    output.show_one(chosen.output, project, views.PROJECT, views.name)


@app.command("list")
def list_projects(ctx: typer.Context) -> None:
    """List the projects you may see."""
    from registry_grpc.cli import output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.list_projects(), views.PROJECTS, views.name)


@app.command()
def get(ctx: typer.Context, project: Annotated[str | None, typer.Argument(help="Project.")] = None) -> None:
    """Show one project; the present one when none is given."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.get_project(project))


@app.command()
def create(
    ctx: typer.Context,
    project: _Project,
    *,
    display_name: options.DisplayName = None,
    description: options.Description = None,
    tag: options.Tag = None,
    stages: _Stages = None,
) -> None:
    """Create a project; without --stages it gets development, staging, production, archived."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        made = registry.create_project(
            project,
            display_name=display_name or "",
            description=description or "",
            tags=options.pairs(tag, "--tag"),
            stages=_stages(stages),
        )
        _show(chosen, made)


@app.command()
def edit(
    ctx: typer.Context,
    project: _Project,
    *,
    display_name: options.DisplayName = None,
    description: options.Description = None,
    tag: options.Tag = None,
    untag: Annotated[
        list[str] | None, typer.Option("--untag", metavar="KEY", help="Tag to remove; repeatable.")
    ] = None,
    stages: _Stages = None,
    etag: options.Etag = "",
) -> None:
    """Change a project: only what is given; --stages replaces the whole list."""
    chosen: Globals = ctx.obj
    named = {"display_name": display_name, "description": description}
    fields: dict[str, Any] = {field: value for field, value in named.items() if value is not None}
    if stages:
        fields["stages"] = _stages(stages)
    with chosen.registry() as registry:
        if tag or untag:
            before = registry.get_project(project)
            fields["tags"] = options.retagged(before.tags, options.pairs(tag, "--tag"), untag)
            etag = etag or before.etag
        if not fields:
            raise typer.BadParameter(
                "nothing to change; give --display-name, --description, --tag, --untag or --stages"
            )
        _show(chosen, registry.update_project(project, etag=etag, **fields))


def _stages(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise typer.BadParameter(f"{path} cannot be read as YAML: {error}", param_hint="--stages") from error
    if not isinstance(loaded, list) or not all(isinstance(stage, dict) for stage in loaded):
        raise typer.BadParameter(f"{path} is no list of stages; each needs at least an id", param_hint="--stages")
    return loaded
