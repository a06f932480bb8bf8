"""`mreg search` and `mreg best`: finding versions and models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.cli.output import Columns
    from registry_grpc.v1 import catalogue_pb2

_Filter = Annotated[str, typer.Option("--filter", "-f", help="What it must fulfil; see docs/catalogue.md.")]
_Everywhere = Annotated[bool, typer.Option("--everywhere", "-A", help="In every project you may see.")]


def search(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(help="Beginnings of words, all of which must occur.")] = None,
    *,
    where: _Filter = "",
    order_by: Annotated[str, typer.Option("--order-by", help="e.g. 'metrics.auc desc, name'.")] = "",
    facet: Annotated[
        list[str] | None, typer.Option("--facet", help="Field to count the values of; repeatable.")
    ] = None,
    models: Annotated[bool, typer.Option("--models", "-m", help="Find models rather than versions.")] = False,
    version_filter: Annotated[
        str, typer.Option("--version-filter", help="With --models: what one of the versions must fulfil.")
    ] = "",
    everywhere: _Everywhere = False,
    deleted: options.Deleted = False,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Most rows.")] = 50,
) -> None:
    """Find versions: `mreg search fraud --filter 'stage = production AND metrics.auc > 0.9'`."""
    from itertools import islice

    from registry_grpc.cli import search_views

    chosen: Globals = ctx.obj
    if version_filter and not models:
        raise typer.BadParameter("is for --models; for versions use --filter", param_hint="--version-filter")
    asked: dict[str, Any] = {
        "filter": where,
        "order_by": order_by,
        "facets": facet or (),
        "project": "-" if everywhere else None,
        "show_deleted": deleted,
        # A page is never larger than what is shown.
        "page_size": min(limit, 1000),
    }
    query = " ".join(words or ())
    with chosen.registry() as registry:
        found: Any
        if models:
            found = registry.search_models(query, version_filter=version_filter, **asked)
        else:
            found = registry.search(query, **asked)
        matches, facets = list(islice(found, limit)), found.facets
    _show(chosen, matches, facets, search_views.models(everywhere) if models else search_views.versions(everywhere))


def _show(chosen: Globals, matches: Sequence[Any], facets: Sequence[catalogue_pb2.Facet], columns: Columns) -> None:
    from registry_grpc.cli import output, search_views

    if chosen.output is Output.NAME:
        print("\n".join(search_views.name(match) for match in matches), end="\n" if matches else "")
        return
    if chosen.output is not Output.TABLE:
        shown: object = [output.plain(match) for match in matches]
        if facets:
            shown = {"matches": shown, "facets": [output.plain(facet) for facet in facets]}
        output.data(chosen.output, shown)
        return
    print(search_views.fitting(list(columns), [[column(match) for column in columns.values()] for match in matches]))
    for facet in facets:
        rows = [[each.value or "(none)", each.count] for each in facet.values]
        print(f"\n{output.table([facet.field, 'count'], rows)}{chr(10) + '…' if facet.truncated else ''}")


def best(
    ctx: typer.Context,
    metric: Annotated[str, typer.Argument(help="Metric that decides.")],
    *,
    where: _Filter = "",
    data: Annotated[str, typer.Option("--data", metavar="NAME[@VERSION]", help="Only as measured on this.")] = "",
    part: Annotated[str, typer.Option("--slice", help="Only on this slice of the data.")] = "",
    direction: Annotated[
        str, typer.Option("--direction", help="maximise or minimise; as the metrics say when left out.")
    ] = "",
    tie_break: Annotated[
        list[str] | None, typer.Option("--tie-break", metavar="METRIC", help="Decides between equals; repeatable.")
    ] = None,
    everywhere: _Everywhere = False,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=101, help="Most rows.")] = 5,
) -> None:
    """Select the version with the best value of a metric: `mreg best auc --filter 'model = fraud'`."""
    from registry_grpc.cli import output, search_views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        answer = registry.best(
            metric,
            filter=where,
            data=data,
            slice=part,
            direction=direction or 0,
            tie_breaks=tie_break or (),
            runners_up=max(1, limit - 1),
            project="-" if everywhere else None,
        )
    if chosen.output is Output.NAME:
        print(answer.best.version.name)
    elif chosen.output is not Output.TABLE:
        output.data(chosen.output, output.plain(answer))
    else:
        chosen.note(answer.reason)
        rows = [answer.best, *answer.runners_up][:limit]
        columns = search_views.candidates([metric, *(tie_break or ())], everywhere)
        print(search_views.fitting(list(columns), [[column(row) for column in columns.values()] for row in rows]))
