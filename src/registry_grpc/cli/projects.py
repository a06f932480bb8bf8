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
_Quota = Annotated[int | None, typer.Option(min=0, metavar="N", help="Quota; 0 for none.")]


def _show(chosen: Globals, project: projects_pb2.Project) -> None:
    from registry_grpc.cli import output, views

    output.show_one(chosen.output, project, views.PROJECT, views.name)


@app.command("list")
def list_projects(ctx: typer.Context, *, deleted: options.Deleted = False) -> None:
    """List the projects you may see."""
    from registry_grpc.cli import output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.list_projects(show_deleted=deleted), views.PROJECTS, views.name)


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


@app.command("update")
@app.command("edit")
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
    max_stored_bytes: Annotated[
        str | None, typer.Option("--max-stored-bytes", metavar="SIZE", help="Quota, e.g. 500GiB; 0 for none.")
    ] = None,
    max_models: _Quota = None,
    max_versions: _Quota = None,
    max_open_uploads: _Quota = None,
    max_calls_per_second: _Quota = None,
    max_open_streams: _Quota = None,
    undelete_window: Annotated[
        str | None, typer.Option("--undelete-window", metavar="TIME", help="From deletion to purge, e.g. 30d.")
    ] = None,
    draft_retention: Annotated[
        str | None, typer.Option("--draft-retention", metavar="TIME", help="How long drafts may rest, e.g. 7d.")
    ] = None,
    keep_versions: Annotated[
        int | None,
        typer.Option(
            "--keep-versions", min=0, metavar="N", help="Newest unheld versions of each model to keep; 0 for all."
        ),
    ] = None,
    etag: options.Etag = "",
) -> None:
    """Change a project: only what is given; --stages replaces the whole list."""
    chosen: Globals = ctx.obj
    quotas = {
        "max_stored_bytes": None if max_stored_bytes is None else options.byte_size(max_stored_bytes),
        "max_models": max_models,
        "max_versions": max_versions,
        "max_open_uploads": max_open_uploads,
        "max_calls_per_second": max_calls_per_second,
        "max_open_streams": max_open_streams,
    }
    times = {"undelete_window": undelete_window, "draft": draft_retention}
    named = {"display_name": display_name, "description": description}
    fields: dict[str, Any] = {field: value for field, value in named.items() if value is not None}
    if stages:
        fields["stages"] = _stages(stages)
    with chosen.registry() as registry:
        before = registry.get_project(project)
        if tag or untag:
            fields["tags"] = options.retagged(before.tags, options.pairs(tag, "--tag"), untag)
        fields |= _limits(before, quotas, times, keep_versions)
        if not fields:
            raise typer.BadParameter("nothing to change; `mreg projects edit --help` says what can be")
        # The etag keeps a change somebody else makes meanwhile from being lost.
        replaced = fields.keys() & {"tags", "quotas", "retention"}
        etag = etag or (before.etag if replaced else "")
        _show(chosen, registry.update_project(project, etag=etag, **fields))


def _limits(
    before: projects_pb2.Project,
    quotas: dict[str, int | None],
    times: dict[str, str | None],
    keep_versions: int | None,
) -> dict[str, Any]:
    """Quotas and retention with what is given; neither when nothing is."""
    from registry_grpc.v1 import projects_pb2

    fields: dict[str, Any] = {}
    given = {name: value for name, value in quotas.items() if value is not None}
    if given:
        fields["quotas"] = projects_pb2.Quotas()
        fields["quotas"].CopyFrom(before.quotas)
        fields["quotas"].MergeFrom(projects_pb2.Quotas(**given))
        for name in [name for name, value in given.items() if not value]:
            fields["quotas"].ClearField(name)
    if keep_versions is not None or any(text is not None for text in times.values()):
        fields["retention"] = projects_pb2.Retention()
        fields["retention"].CopyFrom(before.retention)
        for name, text in times.items():
            if text is not None:
                getattr(fields["retention"], name).FromTimedelta(options.period(text))
        if keep_versions is not None:
            fields["retention"].keep_versions = keep_versions
    return fields


@app.command()
def delete(
    ctx: typer.Context,
    project: _Project,
    *,
    force: Annotated[bool, typer.Option("--force", help="Also its models.")] = False,
    etag: options.Etag = "",
) -> None:
    """Delete a project with everything in it; it can be restored for a while."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.delete_project(project, force=force, etag=etag))


@app.command("undelete")
@app.command("restore", hidden=True)
def restore(ctx: typer.Context, project: _Project, *, etag: options.Etag = "") -> None:
    """Bring a deleted project back."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.undelete_project(project, etag=etag))


@app.command()
def purge(ctx: typer.Context, project: _Project, *, etag: options.Etag = "") -> None:
    """Remove a deleted project with everything in it for good. Nothing brings it back."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        registry.purge_project(project, etag=etag)
        chosen.note(f"{project} is gone")


@app.command()
def usage(ctx: typer.Context, project: Annotated[str | None, typer.Argument(help="Project.")] = None) -> None:
    """Show what a project uses of its quotas; the present one when none is given."""
    from registry_grpc.cli import output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_one(chosen.output, registry.project_usage(project), views.USAGE, views.name)


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
