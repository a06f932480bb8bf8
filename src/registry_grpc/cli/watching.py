"""`mreg watch`."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Annotated

import typer

from registry_grpc.cli.context import Globals, Output

if TYPE_CHECKING:
    from registry_grpc.client.watch import Change


def watch(
    ctx: typer.Context,
    target: Annotated[
        str | None, typer.Argument(help="MODEL or MODEL@STAGE; the project when left out, `-` for all you may see.")
    ] = None,
    *,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="CMD",
            help="Shell command to run for each change, one after another. It finds MREG_EVENT, MREG_NAME, "
            "MREG_VERSION, MREG_LOCATION, MREG_REVISION, MREG_RESUME_TOKEN in its environment.",
        ),
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Stage, Alias, ModelVersion, …; repeatable.")
    ] = None,
    resume: Annotated[str, typer.Option("--resume", metavar="TOKEN", help="Go on where this token stands.")] = "",
    no_state: Annotated[bool, typer.Option("--no-state", help="Only what happens from now on.")] = False,
    once: Annotated[bool, typer.Option("--once", help="End when the present state was told.")] = False,
) -> None:
    """Tell every change as it happens, over restarts and cuts, none missed and none twice."""
    from registry_grpc.client.watch import EVERYTHING, Kind

    chosen: Globals = ctx.obj
    wanted = EVERYTHING if target == "-" else target
    with (
        chosen.registry() as registry,
        registry.watch(wanted, types=types or (), state=not no_state, resume_token=resume) as changes,
    ):
        for change in changes:
            if change.kind is not Kind.SYNCED:
                _tell(chosen, change)
                _run(chosen, command, change)
            elif once:
                return


def _tell(chosen: Globals, change: Change) -> None:
    from registry_grpc.cli import output, views
    from registry_grpc.v1 import events_pb2

    assert change.event is not None  # noqa: S101 -- for the type checker
    if chosen.output in {Output.JSON, Output.YAML}:
        # One line each, whatever is asked for: a stream has no end to close a list at.
        data = {"kind": change.kind, "revision": change.revision, "event": output.plain(change.event)}
        print(json.dumps(data | ({"resume_token": change.resume_token} if change.resume_token else {})), flush=True)
        return
    if chosen.output is Output.NAME:
        print(change.event.name, flush=True)
        return
    action = output.short_enum(events_pb2.EventAction, change.event.action, "EVENT_ACTION_")
    what = "is" if change.kind == "state" else action
    event = change.event
    target = views.last(event.stage.version or event.alias.version or event.deployment.version)
    by = f" by {change.event.actor}" if change.event.actor else ""
    holder = f" version {target}" if target else ""
    print(output.cell(f"{change.revision}  {what}  {change.event.name}{holder}{by}"), flush=True)


def _run(chosen: Globals, command: str | None, change: Change) -> None:
    if command is None:
        return
    done = subprocess.run(command, shell=True, check=False, env=os.environ | _facts(change))  # noqa: S602 -- it is the user's own
    if done.returncode:
        chosen.note(f"mreg: {command!r} ended with {done.returncode} at revision {change.revision}; going on")


def _facts(change: Change) -> dict[str, str]:
    from registry_grpc.cli import output
    from registry_grpc.v1 import events_pb2

    event = change.event
    assert event is not None  # noqa: S101 -- for the type checker
    told = (event.stage, event.alias, event.deployment)
    version = next((each.version for each in told if each.version), event.version.name)
    digest = next((each.manifest_digest for each in told if each.manifest_digest), event.version.manifest_digest)
    parts = version.split("/")
    location = f"mreg://{parts[1]}/{parts[3]}/{parts[5]}@{digest}" if version and digest else ""
    return {
        "MREG_EVENT": "state"
        if change.kind == "state"
        else output.short_enum(events_pb2.EventAction, event.action, "EVENT_ACTION_"),
        "MREG_NAME": event.name,
        "MREG_VERSION": version,
        "MREG_LOCATION": location,
        "MREG_REVISION": str(change.revision),
        "MREG_RESUME_TOKEN": change.resume_token,
    }
