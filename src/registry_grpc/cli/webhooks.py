"""`mreg webhooks`: events pushed to other systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, Output
from registry_grpc.cli.failures import ExitCode

if TYPE_CHECKING:
    from registry_grpc.v1 import webhooks_pb2

app = typer.Typer(help="Webhooks: events pushed to other systems.", no_args_is_help=True)
_Webhook = Annotated[str, typer.Argument(help="ID in the project, or a resource name.")]
_Models = Annotated[list[str] | None, typer.Option("--model", help="Only of this model; repeatable.")]
_Types = Annotated[
    list[str] | None, typer.Option("--type", help="Only of this type, e.g. Stage or ModelVersion; repeatable.")
]
_Actions = Annotated[
    list[str] | None, typer.Option("--action", help="Only this action, e.g. assigned or finalized; repeatable.")
]
_Stages = Annotated[list[str] | None, typer.Option("--stage", help="Of stages only this one; repeatable.")]


def _fields(
    models: list[str] | None, types: list[str] | None, actions: list[str] | None, stages: list[str] | None
) -> dict[str, Any]:
    """The filters that were given; one empty text means all again."""
    named = {"models": models, "resource_types": types, "actions": actions, "stages": stages}
    given = {field: [each for each in value if each] for field, value in named.items() if value is not None}
    if "actions" in given:
        given["actions"] = [f"EVENT_ACTION_{each.upper()}" for each in given["actions"]]
    return given


def _show(chosen: Globals, webhook: webhooks_pb2.Webhook) -> None:
    from registry_grpc.cli import output, views, webhook_views

    output.show_one(chosen.output, webhook, webhook_views.WEBHOOK, views.name)


def _show_secret(
    chosen: Globals, made: webhooks_pb2.CreateWebhookResponse | webhooks_pb2.RotateWebhookSecretResponse
) -> None:
    """The secret and nothing else on stdout, unless the output is for programs."""
    from registry_grpc.cli import output

    if chosen.output in {Output.JSON, Output.YAML}:
        output.data(chosen.output, output.plain(made))
        return
    print(made.secret)
    chosen.note(f"the secret of {made.webhook.name}; it is not shown again")


@app.command("list")
def list_webhooks(ctx: typer.Context) -> None:
    """List the webhooks of the project."""
    from registry_grpc.cli import output, views, webhook_views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.webhooks.list(), webhook_views.WEBHOOKS, views.name)


@app.command()
def get(ctx: typer.Context, webhook: _Webhook) -> None:
    """Show one webhook, and how it gets on."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.webhooks.get(webhook))


@app.command()
def create(
    ctx: typer.Context,
    webhook: _Webhook,
    url: Annotated[str, typer.Argument(help="https://…, or http://… in a network the operator allows.")],
    *,
    model: _Models = None,
    kind: _Types = None,
    action: _Actions = None,
    stage: _Stages = None,
    display_name: options.DisplayName = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Send nothing yet.")] = False,
) -> None:
    """Create a webhook and print its secret, once: it gets what is committed from then on."""
    chosen: Globals = ctx.obj
    fields = _fields(model, kind, action, stage)
    with chosen.registry() as registry:
        made = registry.webhooks.create(webhook, url, display_name=display_name or "", disabled=disabled, **fields)
    _show_secret(chosen, made)


@app.command()
def update(
    ctx: typer.Context,
    webhook: _Webhook,
    *,
    url: Annotated[str | None, typer.Option("--url", help="Send there from now on.")] = None,
    model: _Models = None,
    kind: _Types = None,
    action: _Actions = None,
    stage: _Stages = None,
    display_name: options.DisplayName = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Stop sending, or go on with what was missed.")
    ] = None,
    etag: options.Etag = "",
) -> None:
    """Change a webhook: only what is given; a filter replaces the whole list, an empty one means all."""
    chosen: Globals = ctx.obj
    named = {"url": url, "display_name": display_name, "disabled": disabled}
    fields = {field: value for field, value in named.items() if value is not None}
    fields |= _fields(model, kind, action, stage)
    if not fields:
        raise typer.BadParameter("nothing to change; give an option")
    with chosen.registry() as registry:
        _show(chosen, registry.webhooks.update(webhook, etag=etag, **fields))


@app.command()
def delete(ctx: typer.Context, webhook: _Webhook, *, etag: options.Etag = "") -> None:
    """Delete a webhook with its deliveries."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        registry.webhooks.delete(webhook, etag=etag)
        chosen.note(f"{registry.webhooks.name_of(webhook)} is deleted")


@app.command()
def rotate(
    ctx: typer.Context,
    webhook: _Webhook,
    *,
    overlap: Annotated[str, typer.Option("--overlap", help="How long the old one signs too, e.g. 12h or 0s.")] = "1d",
) -> None:
    """Give a webhook a new secret and print it, once."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        made = registry.webhooks.rotate_secret(webhook, overlap=options.period(overlap))
    _show_secret(chosen, made)


@app.command()
def test(ctx: typer.Context, webhook: _Webhook) -> None:
    """Send a test event now; exit code 1 when it was not taken."""
    from registry_grpc.cli import output, views, webhook_views
    from registry_grpc.v1 import webhooks_pb2

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        sent = registry.webhooks.test(webhook)
    output.show_one(chosen.output, sent, webhook_views.DELIVERIES, views.name)
    if sent.state != webhooks_pb2.Delivery.STATE_DELIVERED:
        raise typer.Exit(ExitCode.ERROR)


@app.command()
def deliveries(
    ctx: typer.Context,
    webhook: _Webhook,
    *,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only pending, delivered or dead ones; repeatable.")
    ] = None,
) -> None:
    """List deliveries, the newest first."""
    from registry_grpc.cli import output, views, webhook_views
    from registry_grpc.v1 import webhooks_pb2

    chosen: Globals = ctx.obj
    known = {name.removeprefix("STATE_").lower(): number for name, number in webhooks_pb2.Delivery.State.items()}
    for each in state or ():
        if each not in known:
            raise typer.BadParameter(f"{each!r} is none of pending, delivered, dead", param_hint="--state")
    with chosen.registry() as registry:
        found = registry.webhooks.deliveries(webhook, states=[known[each] for each in state or ()])
        output.show_list(chosen.output, found, webhook_views.DELIVERIES, views.name)


@app.command()
def redeliver(
    ctx: typer.Context,
    webhook: _Webhook,
    delivery: Annotated[list[str] | None, typer.Argument(help="Ids or names of deliveries.")] = None,
    *,
    all_dead: Annotated[bool, typer.Option("--all-dead", help="The oldest 1000 that were given up.")] = False,
) -> None:
    """Put deliveries back in line, under their old ids."""
    chosen: Globals = ctx.obj
    if bool(delivery) == all_dead:
        raise typer.BadParameter("give deliveries, or --all-dead")
    with chosen.registry() as registry:
        count = registry.webhooks.redeliver(webhook, delivery or (), all_dead=all_dead)
    print(count)
    chosen.note(f"{count} in line again")
