"""`mreg contexts`: the servers somebody logged in to."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from registry_grpc.cli.context import Globals, Output

app = typer.Typer(help="The servers you logged in to.", invoke_without_command=True)
Name = Annotated[str, typer.Argument(help="Name of a context.")]


@app.callback()
def default(ctx: typer.Context) -> None:
    """The servers you logged in to; `list` when nothing else is asked."""
    if ctx.invoked_subcommand is None:
        list_contexts(ctx)


@app.command("list")
def list_contexts(ctx: typer.Context) -> None:
    """List them. No secret is shown."""
    from registry_grpc.cli import output
    from registry_grpc.client.contexts import load_contexts

    chosen: Globals = ctx.obj
    contexts = load_contexts()
    current = chosen.context or os.environ.get("MREG_CONTEXT") or contexts.current
    found = [contexts.by_name[name] for name in sorted(contexts.by_name)]
    if chosen.output is Output.NAME:
        for each in found:
            print(output.cell(each.name))
    elif chosen.output is Output.TABLE:
        rows = [
            ("*" if each.name == current else "", each.name, each.endpoint, each.project, each.credential)
            for each in found
        ]
        print(output.table(["", "name", "endpoint", "project", "credential"], rows))
    else:
        facts = [
            {
                "name": each.name,
                "current": each.name == current,
                "endpoint": each.endpoint,
                "project": each.project,
                "credential": each.credential,
            }
            for each in found
        ]
        output.data(chosen.output, facts)


@app.command("use")
def use_context(ctx: typer.Context, name: Name) -> None:
    """Make one the current one."""
    from registry_grpc.client.contexts import Contexts, change_contexts

    chosen: Globals = ctx.obj
    changed = change_contexts(lambda contexts: Contexts(contexts.find(name).name, contexts.by_name))
    chosen.note(f"using {changed.find(name).endpoint}")


@app.command("remove")
def remove_context(ctx: typer.Context, name: Name) -> None:
    """Forget one, with its secrets."""
    from registry_grpc.client.contexts import change_contexts

    chosen: Globals = ctx.obj
    change_contexts(lambda contexts: contexts.without(name))
    chosen.note(f"removed {name}")
