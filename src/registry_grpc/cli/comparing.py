"""`mreg compare`, `mreg deps` and `mreg bom`: versions side by side, and what one is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from registry_grpc.cli.context import Globals, Output, version_name

_Ref = Annotated[str, typer.Argument(metavar="REF", help="Version, e.g. fraud/7 or fraud@production.")]


def compare(
    ctx: typer.Context,
    refs: Annotated[list[str], typer.Argument(metavar="REF REF…", help="2 to 20 versions; the first is the base.")],
    *,
    differences: Annotated[bool, typer.Option("--differences", "-d", help="Only rows that differ.")] = False,
) -> None:
    """Compare versions: fields, metrics with deltas, parameters, packages, signature, files, approvals, evidence."""
    from registry_grpc.cli import comparison_views, output

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        names = [version_name(registry, ref) for ref in refs]
        found = registry.compare(*names, differences_only=differences)
    if chosen.output is Output.NAME:
        print("\n".join(version.name for version in found.versions))
    elif chosen.output is not Output.TABLE:
        output.data(chosen.output, output.plain(found))
    else:
        print(comparison_views.tables(found))


def deps(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(metavar="REF", help="Version; not with --who.")] = "",
    *,
    who: Annotated[
        str, typer.Option("--who", metavar="NAME[==VERSION]", help="Who needs it instead, e.g. 'numpy==1.*'.")
    ] = "",
    everywhere: Annotated[bool, typer.Option("--everywhere", "-A", help="With --who: every project you see.")] = False,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Most rows.")] = 100,
) -> None:
    """List the packages a version needs, or with --who the versions that need a package."""
    from itertools import islice

    from registry_grpc.cli import comparison_views, output, search_views

    if bool(ref) == bool(who):
        raise typer.BadParameter("name a version, or a package with --who")
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        if ref:
            needed = registry.get_version(version_name(registry, ref)).dependencies
            output.show_list(chosen.output, needed[:limit], comparison_views.PACKAGES, comparison_views.package)
            return
        found = registry.search(
            filter=_asked(who), project="-" if everywhere else None, page_size=min(limit, 100), full=True
        )
        columns = comparison_views.users(_split(who)[0], everywhere)
        output.show_list(chosen.output, islice(found, limit), columns, search_views.name)


def _asked(who: str) -> str:
    """`numpy==1.*` as a filter."""
    names, version = _split(who)
    quoted = [json.dumps(name, ensure_ascii=False) for name in names]
    wanted = json.dumps(version, ensure_ascii=False)
    return " OR ".join(f"dependencies.{name} = {wanted}" if version else f"dependencies:{name}" for name in quoted)


def _split(who: str) -> tuple[list[str], str]:
    """The names a package may have, as PyPI and as others write it, and the version."""
    from packaging.utils import canonicalize_name

    name, _, version = who.replace(" ", "").partition("==")
    if not name or any(sign in name for sign in "<>~!=,;"):
        raise typer.BadParameter(f"{who!r} is not NAME or NAME==VERSION, perhaps with * at its end", param_hint="--who")
    return list(dict.fromkeys([str(canonicalize_name(name)), name.lower(), name])), version


def bom(
    ctx: typer.Context,
    ref: _Ref,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="Where to; stdout when left out.")] = None,
) -> None:
    """Export what a version is made of as a CycloneDX bill of materials, JSON."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        document = registry.bom(version_name(registry, ref))
    if file is None:
        print(json.dumps(json.loads(document), indent=2, ensure_ascii=False))
    else:
        file.write_text(document)
        chosen.note(f"wrote {file}")
