"""`mreg models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals

if TYPE_CHECKING:
    from registry_grpc.v1 import models_pb2

app = typer.Typer(help="Models.", no_args_is_help=True)
_Name = Annotated[str, typer.Argument(metavar="MODEL", help="Model, e.g. fraud or project:fraud.")]


def _show(chosen: Globals, model: models_pb2.Model) -> None:
    from registry_grpc.cli import output, views

    output.show_one(chosen.output, model, views.MODEL, views.name)


@app.command("list")
def list_models(
    ctx: typer.Context,
    *,
    where: Annotated[str, typer.Option("--filter", help="What it must fulfil; see docs/catalogue.md.")] = "",
    deleted: options.Deleted = False,
) -> None:
    """List the models of the project."""
    from registry_grpc.cli import output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        models = registry.list_models(filter=where, show_deleted=deleted)
        columns = {head: column for head, column in views.MODELS.items() if deleted or head != "deleted"}
        output.show_list(chosen.output, models, columns, views.name)


@app.command()
def get(ctx: typer.Context, model: _Name) -> None:
    """Show one model."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.get_model(model))


@app.command()
def create(
    ctx: typer.Context,
    model: _Name,
    *,
    display_name: options.DisplayName = None,
    description: options.Description = None,
    owner: options.Owner = None,
    tag: options.Tag = None,
) -> None:
    """Create a model."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        made = registry.create_model(
            model,
            display_name=display_name or "",
            description=description or "",
            owner=owner or "",
            tags=options.pairs(tag, "--tag"),
        )
        _show(chosen, made)


@app.command()
def edit(
    ctx: typer.Context,
    model: _Name,
    *,
    display_name: options.DisplayName = None,
    description: options.Description = None,
    owner: options.Owner = None,
    tag: options.Tag = None,
    untag: Annotated[
        list[str] | None, typer.Option("--untag", metavar="KEY", help="Tag to remove; repeatable.")
    ] = None,
    etag: options.Etag = "",
) -> None:
    """Change a model: only what is given; tags are added to those it has."""
    chosen: Globals = ctx.obj
    named = {"display_name": display_name, "description": description, "owner": owner}
    fields: dict[str, Any] = {field: value for field, value in named.items() if value is not None}
    with chosen.registry() as registry:
        if tag or untag:
            before = registry.get_model(model)
            fields["tags"] = options.retagged(before.tags, options.pairs(tag, "--tag"), untag)
            etag = etag or before.etag
        if not fields:
            raise typer.BadParameter("nothing to change; give --display-name, --description, --owner, --tag or --untag")
        _show(chosen, registry.update_model(model, etag=etag, **fields))


@app.command()
def delete(
    ctx: typer.Context,
    model: _Name,
    *,
    force: Annotated[bool, typer.Option("--force", help="Also its versions.")] = False,
    etag: options.Etag = "",
) -> None:
    """Delete a model; it can be restored for a while."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.delete_model(model, force=force, etag=etag))


@app.command()
def restore(ctx: typer.Context, model: _Name, *, etag: options.Etag = "") -> None:
    """Bring a deleted model back."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.undelete_model(model, etag=etag))


@app.command()
def purge(ctx: typer.Context, model: _Name, *, etag: options.Etag = "") -> None:
    """Remove a deleted model with its versions for good. Nothing brings it back."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        registry.purge_model(model, etag=etag)
        chosen.note(f"{model} is gone")
