"""`mreg aliases`."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_grpc.cli.context import Globals, version_name

app = typer.Typer(help="Aliases: free pointers at versions.", no_args_is_help=True)
_Model = Annotated[str, typer.Argument(help="Model.")]
_Alias = Annotated[str, typer.Argument(help="Alias; starts with a letter, and is no stage.")]
_Expect = Annotated[int | None, typer.Option("--expect", metavar="N", help="Refuse unless it points at N now.")]


@app.command("list")
def list_aliases(ctx: typer.Context, model: _Model) -> None:
    """List the aliases of a model."""
    from registry_grpc.cli import output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.list_aliases(model), views.ALIASES, views.name)


@app.command("set")
def set_alias(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(help="Version, e.g. fraud/7 or fraud@staging.")],
    alias: _Alias,
    *,
    expect: _Expect = None,
) -> None:
    """Point an alias at a version."""
    from registry_grpc.cli import output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        made = registry.set_alias(version_name(registry, ref), alias, expected=expect)
        output.show_one(chosen.output, made, views.ALIASES, views.name)


@app.command()
def delete(ctx: typer.Context, model: _Model, alias: _Alias, *, expect: _Expect = None) -> None:
    """Delete an alias."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        registry.delete_alias(model, alias, expected=expect)
        chosen.note(f"alias {alias} of {model} is deleted")
