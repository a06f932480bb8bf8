"""`mreg roles`, and `mreg can`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals
from registry_grpc.cli.failures import ExitCode

app = typer.Typer(help="Roles: named sets of permissions, predefined and your own.", no_args_is_help=True)
_Role = Annotated[str, typer.Argument(help="Role.")]
_Permission = Annotated[
    list[str] | None,
    typer.Option("--permission", metavar="NAME", help="E.g. stages.promote; repeatable. `roles get admin` has all."),
]


@app.command("list")
def list_roles(ctx: typer.Context) -> None:
    """List the roles there are."""
    from registry_grpc.cli import access_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.list_roles(), access_views.ROLES, views.name)


@app.command()
def get(ctx: typer.Context, role: _Role) -> None:
    """Show one role with its permissions."""
    from registry_grpc.cli import access_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_one(chosen.output, registry.get_role(role), access_views.ROLE, views.name)


@app.command()
def create(
    ctx: typer.Context,
    role: _Role,
    *,
    permission: _Permission = None,
    display_name: options.DisplayName = None,
    description: options.Description = None,
) -> None:
    """Create a custom role."""
    from registry_grpc.cli import access_views, output, views

    chosen: Globals = ctx.obj
    if not permission:
        raise typer.BadParameter("give at least one", param_hint="--permission")
    with chosen.registry() as registry:
        made = registry.create_role(role, permission, display_name=display_name or "", description=description or "")
        output.show_one(chosen.output, made, access_views.ROLE, views.name)


@app.command()
def edit(
    ctx: typer.Context,
    role: _Role,
    *,
    permission: _Permission = None,
    display_name: options.DisplayName = None,
    description: options.Description = None,
    etag: options.Etag = "",
) -> None:
    """Change a custom role: only what is given; --permission replaces the whole list."""
    from registry_grpc.cli import access_views, output, views

    chosen: Globals = ctx.obj
    named = {"permissions": permission, "display_name": display_name, "description": description}
    fields: dict[str, Any] = {field: value for field, value in named.items() if value is not None}
    if not fields:
        raise typer.BadParameter("nothing to change; give --permission, --display-name or --description")
    with chosen.registry() as registry:
        changed = registry.update_role(role, etag=etag, **fields)
        output.show_one(chosen.output, changed, access_views.ROLE, views.name)


@app.command()
def delete(ctx: typer.Context, role: _Role, *, etag: options.Etag = "") -> None:
    """Delete a custom role that nobody is bound to."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        gone = registry.delete_role(role, etag=etag)
        chosen.note(f"{gone.name} is deleted")


def can(
    ctx: typer.Context,
    permissions: Annotated[list[str], typer.Argument(help="Permissions, e.g. stages.promote.")],
    *,
    on: Annotated[
        str | None, typer.Option("--on", help="Resource name; the project when left out, `registry` for all of it.")
    ] = None,
    stage: Annotated[str, typer.Option("--stage", help="Stage it is about.")] = "",
) -> None:
    """Say which of these permissions you have; exit code 4 unless it is all of them."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        resource = "" if on == "registry" else on
        have = registry.test_permissions(*permissions, resource=resource, stage=stage)
    for permission in have:
        print(permission)
    if missing := [permission for permission in permissions if permission not in have]:
        chosen.note(f"not permitted: {', '.join(missing)}")
        raise typer.Exit(ExitCode.DENIED)
