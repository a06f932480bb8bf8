"""`mreg push` and `mreg pull`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, Output
from registry_grpc.cli.failures import ExitCode
from registry_grpc.cli.progress import reporter

_Text = Annotated[str | None, typer.Option()]


def push(  # one option per field
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(help="File or directory.")],
    model: Annotated[str, typer.Argument(help="Model; made when it is not there.")],
    *,
    label: Annotated[str | None, typer.Option("--label", help="Version label, unique in the model.")] = None,
    framework: Annotated[str | None, typer.Option(help="name==version, e.g. scikit-learn==1.5.2.")] = None,
    algorithm: _Text = None,
    task: _Text = None,
    domain: _Text = None,
    metric: Annotated[list[str] | None, typer.Option(metavar="NAME=NUMBER", help="Repeatable.")] = None,
    param: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Repeatable.")] = None,
    tag: options.Tag = None,
    annotation: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Repeatable.")] = None,
    requirements: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="requirements.txt, environment.yml, uv.lock or pylock.toml; or 'freeze' for what is here.",
        ),
    ] = None,
    metadata: Annotated[Path | None, typer.Option(help="JSON or YAML with any field of a version.")] = None,
    description: options.Description = None,
    owner: options.Owner = None,
    model_card: Annotated[Path | None, typer.Option(help="Markdown file, kept whole.")] = None,
    card: Annotated[Path | None, typer.Option(help="Markdown file, read as by `mreg card import`.")] = None,
    create_model: Annotated[bool, typer.Option(help="Make the model when it is not there.")] = True,
    finalize: Annotated[bool, typer.Option(help="Freeze the version; without it stays a draft.")] = True,
    force_new: Annotated[bool, typer.Option("--force-new", help="A new version even when it would be equal.")] = False,
    parallel: Annotated[int, typer.Option(min=1, max=32, help="Files sent at once.")] = 2,
) -> None:
    """Push a file or directory as a new version. The same push again resumes it, or returns what it made."""
    chosen: Globals = ctx.obj
    given: dict[str, Any] = _file_fields(metadata)
    named = {
        "version_label": label,
        "framework": framework,
        "algorithm": algorithm,
        "task": task,
        "domain": domain,
        "description": description,
        "owner": owner,
        "model_card": _text(model_card) if model_card else None,
        "metrics": options.numbers(metric, "--metric"),
        "parameters": options.typed(param, "--param"),
        "tags": options.pairs(tag, "--tag"),
        "annotations": options.pairs(annotation, "--annotation"),
    }
    if card is not None:
        given |= _card(card)
    given.update({field: value for field, value in named.items() if value})
    with chosen.registry() as registry, reporter(chosen) as progress:
        try:
            version = registry.push(
                model,
                path,
                create_model=create_model,
                finalize=finalize,
                force_new=force_new,
                parallel=parallel,
                progress=progress,
                requirements=requirements,
                **given,
            )
        except KeyboardInterrupt:
            again = shlex.join(["mreg", *sys.argv[1:]])
            print(f"mreg: interrupted; what arrived is kept, go on with: {again}", file=sys.stderr)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    from registry_grpc.cli import output, views

    if chosen.output is Output.TABLE:
        print(version.location or version.name)
    else:
        output.show_one(chosen.output, version, views.VERSION, views.name)


def pull(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(help="What to pull, e.g. fraud@production.")],
    directory: Annotated[Path | None, typer.Argument(help="New directory; the cache when left out.")] = None,
    *,
    verify: Annotated[bool, typer.Option(help="Hash what the cache holds again.")] = True,
    parallel: Annotated[int, typer.Option(min=1, max=32, help="Files fetched at once.")] = 4,
) -> None:
    """Pull a version, verified. Prints the directory; the pinned reference goes to stderr."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        answer = registry.resolve(ref, full=True)
        with reporter(chosen) as progress:
            path = registry.pull(answer.location, directory, verify=verify, parallel=parallel, progress=progress)
    from registry_grpc.cli import output

    if chosen.output is Output.NAME:
        print(answer.version)
    elif chosen.output is Output.TABLE:
        print(path)
        chosen.note(answer.location)
    else:
        facts = {
            "path": str(path),
            "version": answer.version,
            "manifest_digest": answer.manifest_digest,
            "location": answer.location,
        }
        output.data(chosen.output, facts)


def _file_fields(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml

    text = _text(path)
    try:
        loaded = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise typer.BadParameter(f"{path} is neither JSON nor YAML: {error}", param_hint="--metadata") from error
    if not isinstance(loaded, dict):
        raise typer.BadParameter(f"{path} holds no fields; write field: value", param_hint="--metadata")
    return loaded


def _card(path: Path) -> dict[str, Any]:
    from registry_grpc.client.cards import read_card

    found = read_card(_text(path), str(path))
    return {"card": found.card, "model_card": found.markdown or None}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from error
