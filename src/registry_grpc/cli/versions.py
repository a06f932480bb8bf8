"""`mreg versions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, Output, version_name
from registry_grpc.cli.failures import ExitCode

if TYPE_CHECKING:
    from registry_grpc.v1 import versions_pb2

app = typer.Typer(help="Versions.", no_args_is_help=True)
_Ref = Annotated[str, typer.Argument(metavar="REF", help="Version, e.g. fraud/7 or fraud@production.")]

_Why = Annotated[str, typer.Option("-m", "--reason", help="Why.")]


def _show(chosen: Globals, version: versions_pb2.ModelVersion) -> None:
    from registry_grpc.cli import output, views

    output.show_one(chosen.output, version, views.VERSION, views.name)


@app.command("list")
def list_versions(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="Model.")],
    *,
    state: Annotated[list[str] | None, typer.Option(help="draft, ready, deprecated or yanked; repeatable.")] = None,
    stage: Annotated[str, typer.Option(help="Only holders of this stage.")] = "",
    where: Annotated[str, typer.Option("--filter", help="What it must fulfil; see docs/catalogue.md.")] = "",
    deleted: options.Deleted = False,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Most versions.")] = 100,
) -> None:
    """List the versions of a model, newest first."""
    from itertools import islice

    from registry_grpc.cli import output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        versions = registry.list_versions(model, states=state or (), stage=stage, filter=where, show_deleted=deleted)
        output.show_list(chosen.output, islice(versions, limit), views.VERSIONS, views.name)


@app.command()
def get(ctx: typer.Context, ref: _Ref) -> None:
    """Show one version."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.get_version(version_name(registry, ref)))


@app.command()
def delete(ctx: typer.Context, ref: _Ref, *, etag: options.Etag = "") -> None:
    """Delete a version; it can be restored for a while."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.delete_version(version_name(registry, ref), etag=etag))


@app.command()
def restore(ctx: typer.Context, ref: _Ref, *, etag: options.Etag = "") -> None:
    """Bring a deleted version back."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.undelete_version(version_name(registry, ref), etag=etag))


@app.command()
def purge(ctx: typer.Context, ref: _Ref, *, etag: options.Etag = "") -> None:
    """Remove a deleted version for good. Nothing brings it back; its number stays taken."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        name = version_name(registry, ref)
        registry.purge_version(name, etag=etag)
        chosen.note(f"{name} is gone")


@app.command()
def deprecate(ctx: typer.Context, ref: _Ref, *, reason: _Why, etag: options.Etag = "") -> None:
    """Mark a version as one that nobody should take up."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.deprecate_version(version_name(registry, ref), reason, etag=etag))


@app.command()
def yank(ctx: typer.Context, ref: _Ref, *, reason: _Why, etag: options.Etag = "") -> None:
    """Withdraw a version: it is not promoted or rolled back to any more."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.yank_version(version_name(registry, ref), reason, etag=etag))


@app.command()
def reinstate(ctx: typer.Context, ref: _Ref, *, etag: options.Etag = "") -> None:
    """Make a deprecated or yanked version READY again."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.reinstate_version(version_name(registry, ref), etag=etag))


@app.command()
def copy(
    ctx: typer.Context,
    ref: _Ref,
    model: Annotated[str, typer.Argument(metavar="[PROJECT:]MODEL", help="Model the copy goes to; it must exist.")],
    *,
    label: Annotated[str, typer.Option("--label", help="Label of the copy.")] = "",
) -> None:
    """Copy a READY version into another model or project; no byte is stored twice."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.copy_version(version_name(registry, ref), model, version_label=label))


@app.command()
def tag(
    ctx: typer.Context,
    ref: _Ref,
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE|KEY-…", help="Tags to set; KEY- removes one.")],
) -> None:
    """Set and remove tags of a version."""
    chosen: Globals = ctx.obj
    removed = [change[:-1] for change in changes if change.endswith("-") and "=" not in change]
    added = options.pairs([change for change in changes if change[:-1] not in removed], "KEY=VALUE")
    with chosen.registry() as registry:
        before = registry.get_version(version_name(registry, ref))
        tags = options.retagged(before.tags, added, removed)
        # The etag keeps a change somebody else makes meanwhile from being lost.
        _show(chosen, registry.update_version(before.name, tags=tags, etag=before.etag))


@app.command()
def check(
    ctx: typer.Context,
    ref: _Ref,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when anything is missing.")] = False,
) -> None:
    """Report the recommended metadata a version lacks."""
    from registry_grpc.cli import output

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        version = registry.get_version(version_name(registry, ref))
    missing = missing_metadata(version)
    if chosen.output in {Output.JSON, Output.YAML}:
        output.data(chosen.output, {"version": version.name, "missing": list(missing)})
    elif chosen.output is Output.NAME:
        print("\n".join(missing), end="\n" if missing else "")
    elif missing:
        print(output.table(["missing", "why it helps"], list(missing.items())))
    else:
        chosen.note(f"{version.name} has all recommended metadata")
    if missing and strict:
        raise typer.Exit(ExitCode.ERROR)


def missing_metadata(version: versions_pb2.ModelVersion) -> dict[str, str]:
    """Recommended fields that `version` lacks, and what each is good for."""
    made = version.provenance
    recommended = {
        "description": (version.description, "people can tell what it is"),
        "owner": (version.owner, "somebody answers for it"),
        "framework": (version.framework.name, "servers know how to load it"),
        "algorithm": (version.algorithm, "models can be compared"),
        "task": (version.task, "models can be found by what they do"),
        "signature": (version.signature.inputs and version.signature.outputs, "callers know what it takes and gives"),
        "metrics": (version.metrics, "promotion policies have something to compare"),
        "parameters": (version.parameters, "the training can be repeated"),
        "dependencies": (version.dependencies, "the environment can be rebuilt"),
        "provenance.training_run": (made.HasField("training_run"), "the run can be found"),
        "provenance.code": (made.code.revision, "the code can be found"),
        "provenance.training_data": (made.training_data, "the data can be found"),
        "model_card": (version.model_card or version.HasField("card"), "limits and intended use are known"),
    }
    return {field: why for field, (value, why) in recommended.items() if not value}
