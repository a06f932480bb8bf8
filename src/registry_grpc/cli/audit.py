"""`mreg audit`: who did what, and whether anybody changed what is told of it."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry_grpc.cli.context import Globals, Output
from registry_grpc.cli.failures import ExitCode

if TYPE_CHECKING:
    from registry_grpc.domain.audit_check import Verdict

app = typer.Typer(help="The audit trail: read it, take it away, check it.", no_args_is_help=True)
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]
_Key = Annotated[
    list[str],
    typer.Option("--key", metavar="KEY|FILE", help="Verifier key you were given by hand; repeatable, for former ones."),
]


@app.command("list")
def list_entries(
    ctx: typer.Context,
    *,
    everywhere: Annotated[bool, typer.Option("--registry", help="Of the whole registry.")] = False,
    actor: Annotated[str, typer.Option(help="Only by this principal.")] = "",
    resource: Annotated[str, typer.Option(help="Only about this resource name and what lies in it.")] = "",
    method: Annotated[str, typer.Option(help="Only of this method, e.g. PromoteVersion.")] = "",
    outcome: Annotated[str, typer.Option(help="applied, refused, or a reason.")] = "",
    request_id: Annotated[str, typer.Option(help="Only of this call.")] = "",
    since: Annotated[datetime | None, typer.Option(formats=_FORMATS, help="At or after this time, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_FORMATS, help="Before this time, UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most entries.")] = 50,
) -> None:
    """List entries, the newest first."""
    from itertools import islice

    from registry_grpc.cli import audit_views, output

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        found = registry.audit.list(
            "" if everywhere else None,
            actor=actor,
            resource=resource,
            method=method,
            outcome=outcome,
            request_id=request_id,
            from_time=since and since.replace(tzinfo=UTC),
            to_time=until and until.replace(tzinfo=UTC),
            page_size=min(limit, 1000),
        )
        output.show_list(chosen.output, islice(found, limit), audit_views.ENTRIES, audit_views.index)


@app.command()
def export(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Where to; stdout when left out.")] = None,
    *,
    first: Annotated[int, typer.Option(min=0, help="Index of the first entry.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Sign a checkpoint over everything first.")] = False,
) -> None:
    """Write entries with their leaves, the oldest first, and the checkpoint over them: JSON lines."""
    from registry_grpc.cli import audit_files

    chosen: Globals = ctx.obj
    count = 0
    with chosen.registry() as registry, ExitStack() as stack:
        to = stack.enter_context(file.open("w", encoding="utf-8")) if file is not None else sys.stdout
        for item in registry.audit.export(first_index=first, fresh_checkpoint=fresh):
            print(audit_files.line_of(item), file=to)
            count += item.DESCRIPTOR.name != "Checkpoint"
    chosen.note(f"{count} entries")


@app.command()
def verify(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="An export that begins with entry 0.", exists=True, dir_okay=False)],
    *,
    key: _Key,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="Note you kept; repeatable: more of them say closer which entry is bad."),
    ] = None,
) -> None:
    """Check an export, offline: every entry against its leaf, and the tree of the leaves against signed checkpoints.

    Exits with 1 and names the first bad entry when anything was changed, cut off or reordered.
    """
    chosen: Globals = ctx.obj
    _require_cryptography()
    verdict, told = _checked(file, key, checkpoint or ())
    if verdict is None or verdict.fault is not None:
        print(f"BAD {told}")
        raise typer.Exit(ExitCode.ERROR)
    if not verdict.covered:
        print("BAD no checkpoint says anything of these entries; give one with --checkpoint")
        raise typer.Exit(ExitCode.ERROR)
    print(f"OK {verdict.covered} entries")
    if verdict.entries > verdict.covered:
        chosen.note(f"{verdict.entries - verdict.covered} later entries are under no checkpoint yet")


def _require_cryptography() -> None:
    """Raises: typer.BadParameter where signatures cannot be checked."""
    try:
        import registry_grpc.domain.notes  # noqa: F401 -- whether it can be
    except ImportError as error:
        raise typer.BadParameter(f"needs {error.name}: pip install 'registry-grpc[signing]'") from error


def _checked(file: Path, keys: list[str], kept: list[Path] | tuple[()]) -> tuple[Verdict | None, str]:
    from registry_grpc.cli import audit_files
    from registry_grpc.domain.audit import LeafError
    from registry_grpc.domain.audit_check import check
    from registry_grpc.domain.notes import NoteError

    try:
        verifiers = [audit_files.verifier_of(text) for text in keys]
        notes = [path.read_text(encoding="utf-8") for path in kept]
        old = audit_files.heads_of(notes, verifiers)
    except (NoteError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    try:
        with file.open(encoding="utf-8") as lines:
            export = audit_files.Export(lines)
            for _ in export.entries():
                pass
        heads = [*old, *audit_files.heads_of(export.notes, verifiers)]
        with file.open(encoding="utf-8") as lines:
            verdict = check(audit_files.Export(lines).entries(), heads)
    except (LeafError, NoteError) as error:
        return None, str(error)
    return verdict, str(verdict.fault)


@app.command()
def prove(
    ctx: typer.Context,
    index: Annotated[int, typer.Argument(min=0, help="Index of the entry.")],
    *,
    key: _Key,
) -> None:
    """Fetch the proof that an entry is in the trail, and check it against the signed checkpoint."""
    _require_cryptography()
    from registry_grpc.cli import audit_files, audit_views, output
    from registry_grpc.client.errors import IntegrityError
    from registry_grpc.domain.audit import LeafError
    from registry_grpc.domain.merkle import leaf_hash, proves_inclusion
    from registry_grpc.domain.notes import NoteError

    chosen: Globals = ctx.obj
    try:
        verifiers = [audit_files.verifier_of(text) for text in key]
    except (NoteError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    with chosen.registry() as registry:
        checkpoint = registry.audit.checkpoint()
        proof = registry.audit.prove(index, tree_size=checkpoint.size)
    try:
        (head,) = audit_files.heads_of([checkpoint.note], verifiers)
        why = audit_files.difference_of(proof.entry)
    except (NoteError, LeafError) as error:
        raise IntegrityError(str(error)) from None
    if why or not proves_inclusion(leaf_hash(proof.entry.leaf), index, head.size, proof.hashes, head.root):
        raise IntegrityError(f"entry {index}: {why or f'it is not in the tree of {head.size} entries that was signed'}")
    output.show_one(chosen.output, proof.entry, audit_views.ENTRY, audit_views.index)
    chosen.note(f"entry {index} is in the tree of {head.size} entries that was signed")


@app.command()
def key(ctx: typer.Context) -> None:
    """Print the verifier key of checkpoints. Keep it; do not take it from whom you check."""
    from registry_grpc.cli import output

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        found = registry.audit.key()
    if chosen.output in {Output.JSON, Output.YAML}:
        output.data(chosen.output, output.plain(found))
    else:
        print(found.verifier_key)


@app.command()
def checkpoint(
    ctx: typer.Context,
    *,
    max_size: Annotated[int, typer.Option(min=0, help="The newest of at most so many entries; 0 for any.")] = 0,
) -> None:
    """Print the newest signed checkpoint, to be kept where nobody of this registry can write."""
    from registry_grpc.cli import output

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        found = registry.audit.checkpoint(max_size)
    if chosen.output in {Output.JSON, Output.YAML}:
        output.data(chosen.output, output.plain(found))
    else:
        print(found.note, end="")
