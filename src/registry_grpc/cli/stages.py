"""`mreg resolve`, `promote`, `rollback`, `history`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, Output

if TYPE_CHECKING:
    from registry_grpc.client import Registry
    from registry_grpc.v1 import stages_pb2

TIME_FORMATS = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"]


def resolve(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(help="What to resolve; a bare model means its newest version.")],
    *,
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=TIME_FORMATS, help="What a stage stood for then, e.g. 2026-11-21T03:04:05Z."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Also the files; with -o json or yaml.")] = False,
) -> None:
    """Print the pinned reference of the version a reference stands for."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        answer = registry.resolve(ref, as_of=as_of, full=full)
    if answer.stale:
        chosen.note("mreg: the registry cannot ask its database; this is the last answer it knows")
    if answer.yanked:
        chosen.note(f"mreg: {answer.version} was yanked; choose another version")
    _show(chosen, answer)


def _show(chosen: Globals, answer: stages_pb2.ResolveResponse) -> None:
    from registry_grpc.cli import output

    if chosen.output is Output.TABLE:
        print(answer.location)
    elif chosen.output is Output.NAME:
        print(answer.version)
    else:
        output.data(chosen.output, output.plain(answer))


def promote(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(help="Version, e.g. fraud/7 or fraud@staging.")],
    *,
    to: Annotated[str, typer.Option("--to", metavar="STAGE", help="Stage to move it to.")],
    expect: options.Expect = None,
    reason: options.Reason = "",
    etag: options.Etag = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, change nothing.")] = False,
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="Past policies, approvals and a freeze; needs a reason, and is loud.")
    ] = False,
) -> None:
    """Move a version into a stage."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        answer = registry.promote(
            ref, to, expected=expect, reason=reason, etag=etag, validate_only=dry_run, break_glass=break_glass
        )
        _moved(chosen, registry, answer.stage, answer.previous_stage, dry_run=dry_run)


def rollback(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="Model.")],
    stage: Annotated[str, typer.Argument(help="Stage to give back.")],
    *,
    to: Annotated[
        int | None, typer.Option("--to", metavar="N", min=1, help="Version; the one before when left out.")
    ] = None,
    expect: options.Expect = None,
    reason: options.Reason = "",
    etag: options.Etag = "",
) -> None:
    """Give a stage back to the version that held it before."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        answer = registry.rollback(model, stage, to=to, expected=expect, reason=reason, etag=etag)
        _moved(chosen, registry, answer.stage, answer.previous_stage, dry_run=False)


def _moved(
    chosen: Globals, registry: Registry, stage: stages_pb2.Stage, before: stages_pb2.Stage, *, dry_run: bool
) -> None:
    from registry_grpc.cli import output, views

    if chosen.output is not Output.TABLE:
        output.show_one(chosen.output, stage, views.STAGES, views.name)
        return
    held = f"held by version {before.version_number} before" if before.version_number else "vacant before"
    verb = "would hold" if dry_run else "holds"
    chosen.note(f"version {stage.version_number} {verb} {views.last(stage.name)}, {held}")
    print(registry.resolve(stage.version).location)


def history(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="Model.")],
    stage: Annotated[str, typer.Argument(help="Only arrivals at this stage.")] = "",
    *,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Most rows.")] = 100,
) -> None:
    """Show which version came to which stage, when, by whom and why; newest first."""
    from itertools import islice

    from registry_grpc.cli import output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        rows = list(islice(registry.history(model, stage), limit))
    output.show_list(chosen.output, rows, views.HISTORY, lambda row: row.version)
