"""`mreg accounts` and `mreg tokens`: callers that are programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, Output

if TYPE_CHECKING:
    from registry_grpc.v1 import access_pb2

app = typer.Typer(help="Service accounts: callers that are programs.", no_args_is_help=True)
tokens = typer.Typer(help="Tokens of service accounts and users.", no_args_is_help=True)
_Account = Annotated[
    str, typer.Argument(help="ID in the project, serviceAccount:PROJECT/ID, or serviceAccount:ID for the registry's.")
]
_Certificates = Annotated[
    list[str] | None,
    typer.Option("--certificate", metavar="uri:URI|dns:NAME", help="Name in its client certificate; repeatable."),
]


def _show(chosen: Globals, account: access_pb2.ServiceAccount) -> None:
    from registry_grpc.cli import access_views, output, views

    output.show_one(chosen.output, account, access_views.ACCOUNT, views.name)


@app.command("list")
def list_accounts(
    ctx: typer.Context,
    *,
    everywhere: Annotated[bool, typer.Option("--registry", help="Those of the registry itself.")] = False,
) -> None:
    """List the service accounts of the project, or of the registry."""
    from registry_grpc.cli import access_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        found = registry.list_service_accounts("" if everywhere else None)
        output.show_list(chosen.output, found, access_views.ACCOUNTS, views.name)


@app.command()
def get(ctx: typer.Context, account: _Account) -> None:
    """Show one service account."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.get_service_account(account))


@app.command()
def create(
    ctx: typer.Context,
    account: _Account,
    *,
    display_name: options.DisplayName = None,
    description: options.Description = None,
    certificate: _Certificates = None,
) -> None:
    """Create a service account; it may do nothing until `mreg bindings create` gives it a role."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        made = registry.create_service_account(
            account,
            display_name=display_name or "",
            description=description or "",
            certificate_names=certificate or (),
        )
        _show(chosen, made)


@app.command()
def edit(
    ctx: typer.Context,
    account: _Account,
    *,
    display_name: options.DisplayName = None,
    description: options.Description = None,
    certificate: _Certificates = None,
    etag: options.Etag = "",
) -> None:
    """Change a service account: only what is given; --certificate replaces the whole list."""
    chosen: Globals = ctx.obj
    named = {"display_name": display_name, "description": description, "certificate_names": certificate}
    fields: dict[str, Any] = {field: value for field, value in named.items() if value is not None}
    if not fields:
        raise typer.BadParameter("nothing to change; give --display-name, --description or --certificate")
    with chosen.registry() as registry:
        _show(chosen, registry.update_service_account(account, etag=etag, **fields))


@app.command()
def disable(ctx: typer.Context, account: _Account) -> None:
    """Turn a service account away, by whatever way it comes; `enable` undoes it."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.update_service_account(account, disabled=True))


@app.command()
def enable(ctx: typer.Context, account: _Account) -> None:
    """Let a disabled service account in again."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.update_service_account(account, disabled=False))


@app.command()
def delete(ctx: typer.Context, account: _Account, *, etag: options.Etag = "") -> None:
    """Delete a service account for good, with its tokens and its place in every binding."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        gone = registry.delete_service_account(account, etag=etag)
        chosen.note(f"{gone.name} is deleted")


@tokens.command("list")
def list_tokens(
    ctx: typer.Context,
    principal: Annotated[str, typer.Argument(help="Whose; your own when left out.")] = "",
) -> None:
    """List tokens, newest first; never their text."""
    from registry_grpc.cli import access_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.list_tokens(principal), access_views.TOKENS, views.name)


@tokens.command()
def issue(
    ctx: typer.Context,
    principal: Annotated[str, typer.Argument(help="Service account in any form of `accounts`, or user:NAME.")],
    *,
    description: options.Description = None,
    days: Annotated[float | None, typer.Option("--days", min=0.001, max=366, help="Days until it ends.")] = None,
) -> None:
    """Make a token and print its text, once: with -o table or name nothing else goes to stdout."""
    from registry_grpc.cli import output

    chosen: Globals = ctx.obj
    ends = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with chosen.registry() as registry:
        issued = registry.issue_token(principal, description=description or "", expire_time=ends)
    if chosen.output in {Output.JSON, Output.YAML}:
        output.data(chosen.output, output.plain(issued))
        return
    print(issued.secret)
    chosen.note(
        f"{issued.token.name} of {issued.token.principal} ends {output.when(issued.token, 'expire_time')}; "
        "its text is not shown again"
    )


@tokens.command()
def generate() -> None:
    """Print a new token that no registry knows yet: for admin_token_file of one that is about to be installed."""
    import secrets

    from registry_grpc.domain.identity import token_text

    print(token_text(secrets.token_bytes(9), secrets.token_bytes(32)))


@tokens.command()
def revoke(ctx: typer.Context, token: Annotated[str, typer.Argument(help="tokens/ID or its id.")]) -> None:
    """Revoke a token for good. It opens nothing from 30 s later on, running uploads included."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        chosen.note(f"{registry.revoke_token(token).name} is revoked")
