"""`mreg requests`: promotions that other people say yes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, version_name

if TYPE_CHECKING:
    from registry_grpc.v1 import governance_pb2

app = typer.Typer(help="Promotion requests: ask for a promotion, approve it.", no_args_is_help=True)
_Request = Annotated[str, typer.Argument(help="Resource name, or MODEL/N.")]
_Comment = Annotated[str, typer.Option("-m", "--comment", help="Why.")]


def _show(chosen: Globals, request: governance_pb2.PromotionRequest) -> None:
    from registry_grpc.cli import governance_views, output, views

    output.show_one(chosen.output, request, governance_views.REQUEST, views.name)


def _name(chosen: Globals, text: str) -> str:
    """Resource name of a request. Raises: BadParameter."""
    if text.startswith("projects/"):
        return text
    model, slash, number = text.rpartition("/")
    if not slash or not number.isdigit():
        raise typer.BadParameter(f"{text!r} is no MODEL/N", param_hint="REQUEST")
    with chosen.registry() as registry:
        return f"{registry.model_name(model)}/promotionRequests/{number}"


@app.command("list")
def list_requests(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="Only of this model.")] = "",
    *,
    state: Annotated[list[str] | None, typer.Option("--state", help="e.g. pending or approved; repeatable.")] = None,
) -> None:
    """List promotion requests, the newest first."""
    from registry_grpc.cli import governance_views, output, views
    from registry_grpc.v1 import governance_pb2

    chosen: Globals = ctx.obj
    states = {name.removeprefix("STATE_").lower(): n for name, n in governance_pb2.PromotionRequest.State.items() if n}
    for each in state or ():
        if each not in states:
            raise typer.BadParameter(f"{each!r} is none of {', '.join(states)}", param_hint="--state")
    with chosen.registry() as registry:
        parent = registry.model_name(model) if model else None
        found = registry.promotion_requests.list(parent, states=[states[each] for each in state or ()])
        output.show_list(chosen.output, found, governance_views.REQUESTS, views.name)


@app.command()
def create(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(help="Version, e.g. fraud/7 or fraud@staging.")],
    *,
    to: Annotated[str, typer.Option("--to", metavar="STAGE", help="Stage to bring it to.")],
    reason: options.Reason = "",
    auto_commit: Annotated[
        bool, typer.Option("--auto-commit", help="Promote with the last approval, in your name.")
    ] = False,
) -> None:
    """Ask for a promotion."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        name = version_name(registry, ref)
        _show(chosen, registry.promotion_requests.create(name, to, reason=reason, auto_commit=auto_commit))


@app.command("show")
def show_request(ctx: typer.Context, request: _Request) -> None:
    """Show a request with its checks as they are now; `-o yaml` shows all of them."""
    chosen: Globals = ctx.obj
    name = _name(chosen, request)
    with chosen.registry() as registry:
        _show(chosen, registry.promotion_requests.get(name))


@app.command()
def approve(ctx: typer.Context, request: _Request, *, comment: _Comment = "") -> None:
    """Say yes to what somebody else made and asked for."""
    chosen: Globals = ctx.obj
    name = _name(chosen, request)
    with chosen.registry() as registry:
        _show(chosen, registry.promotion_requests.approve(name, comment))


@app.command()
def reject(ctx: typer.Context, request: _Request, *, comment: _Comment = "") -> None:
    """Say no; it stands until you approve."""
    chosen: Globals = ctx.obj
    name = _name(chosen, request)
    with chosen.registry() as registry:
        _show(chosen, registry.promotion_requests.reject(name, comment))


@app.command()
def withdraw(ctx: typer.Context, request: _Request, *, comment: _Comment = "") -> None:
    """Take a request back."""
    chosen: Globals = ctx.obj
    name = _name(chosen, request)
    with chosen.registry() as registry:
        _show(chosen, registry.promotion_requests.withdraw(name, comment))


@app.command("comment")
def add_comment(
    ctx: typer.Context, request: _Request, text: Annotated[str, typer.Argument(help="What to say.")]
) -> None:
    """Add a comment."""
    chosen: Globals = ctx.obj
    name = _name(chosen, request)
    with chosen.registry() as registry:
        _show(chosen, registry.promotion_requests.comment(name, text))


@app.command()
def commit(ctx: typer.Context, request: _Request, *, comment: _Comment = "") -> None:
    """Promote as the request asks."""
    chosen: Globals = ctx.obj
    name = _name(chosen, request)
    with chosen.registry() as registry:
        _show(chosen, registry.promotion_requests.commit(name, comment))
