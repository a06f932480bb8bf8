"""`mreg bindings`: who has which role on what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals

if TYPE_CHECKING:
    from registry_grpc.client import Registry

app = typer.Typer(help="Role bindings: who has which role on the registry, a project or a model.", no_args_is_help=True)
_Binding = Annotated[str, typer.Argument(help="Id of the binding in its scope, or its resource name.")]
_Model = Annotated[str | None, typer.Option("--model", help="On this model; the project when left out.")]
_Everywhere = Annotated[bool, typer.Option("--registry", help="On the whole registry.")]
_Members = Annotated[
    list[str] | None,
    typer.Option(
        "--member",
        metavar="WHO",
        help="user:NAME, user:ISSUER/NAME, group:ISSUER/NAME, serviceAccount:PROJECT/ID, serviceAccount:ID or "
        "authenticated; repeatable.",
    ),
]
_Stages = Annotated[
    list[str] | None, typer.Option("--stage", help="Permits moving versions only to this stage; repeatable.")
]
_ReadOnly = Annotated[
    list[str] | None,
    typer.Option("--read-only-tag", metavar="KEY=VALUE", help="What carries the tag can only be read; repeatable."),
]


@app.command("list")
def list_bindings(ctx: typer.Context, *, model: _Model = None, everywhere: _Everywhere = False) -> None:
    """List the bindings of the project, of a model, or of the registry."""
    from registry_grpc.cli import access_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        found = registry.list_role_bindings(_scope(registry, model, everywhere=everywhere))
        output.show_list(chosen.output, found, access_views.BINDINGS, views.name)


@app.command()
def get(ctx: typer.Context, binding: _Binding, *, model: _Model = None, everywhere: _Everywhere = False) -> None:
    """Show one binding."""
    from registry_grpc.cli import access_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        found = registry.get_role_binding(_name(registry, binding, model, everywhere=everywhere))
        output.show_one(chosen.output, found, access_views.BINDING, views.name)


@app.command()
def create(
    ctx: typer.Context,
    role: Annotated[str, typer.Argument(help="Role.")],
    members: Annotated[list[str], typer.Argument(metavar="MEMBER...", help="Who gets it; as --member of `edit`.")],
    *,
    model: _Model = None,
    everywhere: _Everywhere = False,
    binding_id: Annotated[str, typer.Option("--id", help="Id of the binding; made up when left out.")] = "",
    stage: _Stages = None,
    read_only_tag: _ReadOnly = None,
    description: options.Description = None,
) -> None:
    """Give members a role: on the project, with --model on one model, with --registry on everything."""
    from registry_grpc.cli import access_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        made = registry.create_role_binding(
            role,
            members,
            scope=_scope(registry, model, everywhere=everywhere),
            binding_id=binding_id,
            stages=stage or (),
            read_only_tags=options.pairs(read_only_tag, "--read-only-tag"),
            description=description or "",
        )
        output.show_one(chosen.output, made, access_views.BINDING, views.name)


@app.command()
def edit(
    ctx: typer.Context,
    binding: _Binding,
    *,
    model: _Model = None,
    everywhere: _Everywhere = False,
    member: _Members = None,
    stage: _Stages = None,
    read_only_tag: _ReadOnly = None,
    unconditional: Annotated[bool, typer.Option("--unconditional", help="Drop its condition.")] = False,
    description: options.Description = None,
    etag: options.Etag = "",
) -> None:
    """Change a binding: only what is given; members and condition are replaced as a whole."""
    from registry_grpc.cli import access_views, output, views

    chosen: Globals = ctx.obj
    fields: dict[str, Any] = {}
    if member:
        fields["members"] = member
    if description is not None:
        fields["description"] = description
    if stage or read_only_tag or unconditional:
        if unconditional and (stage or read_only_tag):
            raise typer.BadParameter("--unconditional contradicts --stage and --read-only-tag")
        fields["condition"] = {
            "stages": stage or [],
            "read_only_tags": options.pairs(read_only_tag, "--read-only-tag"),
        }
    if not fields:
        raise typer.BadParameter("nothing to change; give --member, --stage, --read-only-tag or --description")
    with chosen.registry() as registry:
        name = _name(registry, binding, model, everywhere=everywhere)
        changed = registry.update_role_binding(name, etag=etag, **fields)
        output.show_one(chosen.output, changed, access_views.BINDING, views.name)


@app.command()
def delete(
    ctx: typer.Context,
    binding: _Binding,
    *,
    model: _Model = None,
    everywhere: _Everywhere = False,
    etag: options.Etag = "",
) -> None:
    """Take a role away. It ends within 30 s everywhere, running uploads included."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        gone = registry.delete_role_binding(_name(registry, binding, model, everywhere=everywhere), etag=etag)
        chosen.note(f"{gone.name} is deleted")


def _scope(registry: Registry, model: str | None, *, everywhere: bool) -> str:
    if everywhere:
        if model:
            raise typer.BadParameter("give --model or --registry, not both")
        return ""
    return registry.model_name(model) if model else registry.project_name()


def _name(registry: Registry, binding: str, model: str | None, *, everywhere: bool) -> str:
    if "roleBindings/" in binding:
        return binding
    scope = _scope(registry, model, everywhere=everywhere)
    return f"{scope}/roleBindings/{binding}" if scope else f"roleBindings/{binding}"
