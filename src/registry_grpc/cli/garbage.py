"""`mreg gc`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from registry_grpc.cli.context import Globals

if TYPE_CHECKING:
    from registry_grpc.v1 import server_pb2


def gc(
    ctx: typer.Context,
    *,
    execute: Annotated[bool, typer.Option("--execute", help="Remove it; without this only say what would go.")] = False,
    adopt_store: Annotated[
        bool,
        typer.Option("--adopt-store", help="Mark the artifact store as this registry's, after a restore or a move."),
    ] = False,
) -> None:
    """Say what stored bytes nothing needs any more, and with --execute remove what is past its grace."""
    from registry_grpc.cli import output, views

    if adopt_store and not execute:
        raise typer.BadParameter("needs --execute: a dry run changes nothing", param_hint="--adopt-store")
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        found = registry.collect_garbage(execute=execute, adopt_store=adopt_store)
        gone = _gone(found)
        while execute and gone and found.more:
            # As long as it gets on; what must wait is left to the server.
            step = registry.collect_garbage(execute=True)
            gone = _gone(step)
            _add(step, found)
            found = step
    columns = views.COLLECTED if execute else views.COLLECTABLE
    output.show_one(chosen.output, found, columns, lambda _: "garbage")
    if not execute:
        chosen.note("nothing was removed; --execute removes what is past its grace")
    elif found.more:
        chosen.note("there is more to look at; the server goes on by itself")


def _gone(found: server_pb2.CollectGarbageResponse) -> int:
    return found.collected.count + found.orphans_collected.count


def _add(step: server_pb2.CollectGarbageResponse, before: server_pb2.CollectGarbageResponse) -> None:
    """Count into a step what went before it; what waits is as the step saw it."""
    for field in ("collected", "orphans_collected"):
        into, earlier = getattr(step, field), getattr(before, field)
        into.count += earlier.count
        into.size_bytes += earlier.size_bytes
