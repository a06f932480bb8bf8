"""`mreg login`, `logout`, `whoami`: who one is to which server."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli.context import Globals, Output

if TYPE_CHECKING:
    from registry_grpc.client.contexts import Context, Contexts, OidcLogin
    from registry_grpc.client.oidc import DeviceCode
    from registry_grpc.v1 import access_pb2

METHOD = "AUTHENTICATION_METHOD_"


def login(
    ctx: typer.Context,
    *,
    server: Annotated[str | None, typer.Option(help="host:port of the registry.", show_default=False)] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the context; the address by default.")] = "",
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from standard input.")] = False,
    device: Annotated[
        bool, typer.Option("--device", help="Log in at an OpenID issuer, by a browser anywhere.")
    ] = False,
    issuer: Annotated[str, typer.Option(help="The issuer, for --device.")] = "",
    client_id: Annotated[str, typer.Option(help="What this program is called there, for --device.")] = "",
    scope: Annotated[str, typer.Option(help="Scopes to ask for, for --device.")] = "openid offline_access",
    resource: Annotated[str, typer.Option(help="Resource indicator (RFC 8707), for --device.")] = "",
    issuer_ca_file: Annotated[str, typer.Option(help="Authorities of the issuer's certificate.")] = "",
    ca_file: Annotated[Path | None, typer.Option(help="Authorities of the server's certificate.")] = None,
    client_cert: Annotated[Path | None, typer.Option(help="Client certificate, for mtls.")] = None,
    client_key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
) -> None:
    """Prove who you are to a server, and remember it as the current context.

    By a token (asked for, --token-stdin), a file whose token may be rotated (--token-file), the device flow of an
    OpenID issuer (--device), or a client certificate (--client-cert, --client-key). Nothing is kept unless the server
    takes it.
    """
    from registry_grpc.client.contexts import change_contexts

    chosen: Globals = ctx.obj
    before = _before(chosen, name, server)
    if device and before.oidc is not None:
        issuer, client_id = issuer or before.oidc.issuer, client_id or before.oidc.client_id
    _one_way(chosen, token_stdin=token_stdin, device=device, issuer=issuer, client_id=client_id)
    made = replace(
        before.logged_out(),
        project=chosen.project or before.project,
        ca_file=_absolute(ca_file) or before.ca_file,
        client_cert=_absolute(client_cert),
        client_key=_absolute(client_key),
        insecure=chosen.insecure or (before.insecure and ca_file is None),
    )
    if device:
        made = replace(made, oidc=_device_login(chosen, issuer, client_id, scope, resource, issuer_ca_file))
    elif chosen.token_file is not None:
        made = replace(made, token_file=_absolute(chosen.token_file))
    elif token_stdin or client_cert is None:
        made = replace(made, token=_read_token(from_stdin=token_stdin))
    caller = _caller(chosen, made)
    change_contexts(lambda contexts: contexts.with_context(made, current=True))
    chosen.note(f"logged in to {made.endpoint} as {caller.principal}; context {made.name}")
    if chosen.output is not Output.TABLE:
        show_caller(chosen, caller)


def logout(ctx: typer.Context) -> None:
    """Forget the secrets of the current context, or of --context. Tokens are not revoked; a login at an issuer ends."""
    from registry_grpc.client.contexts import change_contexts
    from registry_grpc.client.oidc import revoke

    chosen: Globals = ctx.obj
    gone: list[Context] = []

    def forget(contexts: Contexts) -> Contexts:
        gone.append(contexts.find(_named(chosen, contexts)))
        return contexts.with_context(gone[-1].logged_out())

    change_contexts(forget)
    context = gone[-1]
    if context.oidc is not None:
        revoke(context.oidc)
    chosen.note(f"logged out of {context.endpoint}; context {context.name} stays, `mreg contexts remove` removes it")


def whoami(ctx: typer.Context) -> None:
    """Show who you are to the server, how it knows, and what you are bound to."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        show_caller(chosen, registry.caller())


def show_caller(chosen: Globals, caller: access_pb2.Caller) -> None:
    """Print a caller."""
    from registry_grpc.cli import output
    from registry_grpc.v1 import access_pb2

    columns: dict[str, Any] = {
        "principal": lambda c: c.principal,
        "proven by": lambda c: output.short_enum(access_pb2.AuthenticationMethod, c.method, METHOD),
        "token": lambda c: c.token,
        "groups": lambda c: list(c.groups),
        "until": lambda c: output.when(c, "expire_time"),
        "bindings": lambda c: [f"{each.role} by {each.name}" for each in c.role_bindings],
    }
    output.show_one(chosen.output, caller, columns, lambda c: c.principal)


def _one_way(chosen: Globals, *, token_stdin: bool, device: bool, issuer: str, client_id: str) -> None:
    """Raises: typer.BadParameter."""
    ways = [
        name
        for name, given in (("--token-stdin", token_stdin), ("--token-file", chosen.token_file), ("--device", device))
        if given
    ]
    if len(ways) > 1:
        raise typer.BadParameter(f"{' and '.join(ways)} are several ways in; give one")
    if device and not (issuer and client_id):
        raise typer.BadParameter("--device needs --issuer and --client-id")
    if not device and (issuer or client_id):
        raise typer.BadParameter("--issuer and --client-id belong to --device")


def _device_login(
    chosen: Globals, issuer: str, client_id: str, scope: str, resource: str, issuer_ca_file: str
) -> OidcLogin:
    from registry_grpc.cli.output import cell
    from registry_grpc.client.oidc import device_login

    def show(code: DeviceCode) -> None:
        # On stderr whatever --quiet says: without it nobody could go on.
        where = code.complete_uri or code.verification_uri
        print(f"open {cell(where)}", file=sys.stderr)
        print(
            f"and approve the code {cell(code.user_code)} within {code.expires_in_s / 60:.0f} minutes", file=sys.stderr
        )

    ca_file = _absolute(Path(issuer_ca_file)) if issuer_ca_file else ""
    made = device_login(issuer, client_id, show, scope=scope, resource=resource, ca_file=ca_file)
    if not made.refresh_token:
        chosen.note("the issuer gave no refresh token, so this login ends with its token; ask for offline_access")
    return made


def _read_token(*, from_stdin: bool) -> str:
    """Raises: typer.BadParameter when there is none."""
    if not from_stdin and not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask at; give --token-stdin, --token-file or --device")
    text = sys.stdin.readline() if from_stdin else getpass.getpass("token: ")
    if not text.strip():
        raise typer.BadParameter("no token was given")
    return text.strip()


def _before(chosen: Globals, name: str, server: str | None) -> Context:
    """The context as it was, or an empty one of that server: who logs in again need not say everything again."""
    from registry_grpc.client.contexts import Context, load_contexts
    from registry_grpc.client.settings import DEFAULT_ENDPOINT

    contexts = load_contexts()
    named = name or chosen.context or ""
    endpoint = server or chosen.endpoint or ""
    if not endpoint:
        known = contexts.by_name.get(named or contexts.current)
        endpoint = known.endpoint if known is not None else os.environ.get("MREG_ENDPOINT") or DEFAULT_ENDPOINT
        named = named or (known.name if known is not None else "")
    known = contexts.by_name.get(named or endpoint)
    # At another address nothing of it counts any more.
    return (
        known
        if known is not None and known.endpoint == endpoint
        else Context(name=named or endpoint, endpoint=endpoint)
    )


def _caller(chosen: Globals, made: Context) -> access_pb2.Caller:
    """Who the server takes these credentials for.

    Raises: RegistryError when it does not.
    """
    from registry_grpc.client import FeatureDisabled, Registry

    # An empty token is none, wherever else one might be found.
    token = None if made.token_file else made.oidc.token if made.oidc is not None else made.token
    with Registry(
        made.endpoint,
        token=token,
        token_file=made.token_file or None,
        ca_file=made.ca_file or None,
        client_cert=made.client_cert or None,
        client_key=made.client_key or None,
        timeout_s=chosen.timeout_s,
        insecure=made.insecure,
    ) as registry:
        try:
            return registry.caller()
        except FeatureDisabled as error:
            raise FeatureDisabled(
                f"{made.endpoint} cannot say who calls, so the login was not kept: it is older "
                "than this mreg and has no AccessService; use --token-file instead",
                reason=error.reason,
            ) from None


def _named(chosen: Globals, contexts: Contexts) -> str:
    """The context a command is about.

    Raises: typer.BadParameter.
    """
    name = chosen.context or os.environ.get("MREG_CONTEXT") or contexts.current
    if not name:
        raise typer.BadParameter("no context is in use; name one with --context, `mreg contexts` lists them")
    return name


def _absolute(path: Path | None) -> str:
    return str(path.expanduser().absolute()) if path is not None else ""
