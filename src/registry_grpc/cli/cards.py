"""`mreg card`: what people must know of a version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, Output, version_name
from registry_grpc.cli.groups import ShowsByDefault

if TYPE_CHECKING:
    from registry_grpc.v1 import versions_pb2

app = typer.Typer(cls=ShowsByDefault, help="Model cards.", no_args_is_help=True)
_Ref = Annotated[str, typer.Argument(metavar="REF", help="Version, e.g. fraud/7 or fraud@production.")]
_Text = Annotated[str | None, typer.Option(metavar="TEXT|@FILE", help="Markdown; '' removes it.")]
_Texts = Annotated[list[str] | None, typer.Option(help="Repeatable; replaces those that are there, '' removes all.")]
_STDIN = Path("-")


@app.command()
def show(ctx: typer.Context, ref: _Ref) -> None:
    """Show the card of a version, for people on a terminal, else as Markdown."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.get_version(version_name(registry, ref)))


@app.command("set")
def set_parts(
    ctx: typer.Context,
    ref: _Ref,
    *,
    intended_use: _Text = None,
    limitations: _Text = None,
    ethical_considerations: _Text = None,
    training_data: _Text = None,
    evaluation: _Text = None,
    citation: _Text = None,
    contact: _Texts = None,
    license_id: Annotated[str | None, typer.Option("--license", help="SPDX id, e.g. apache-2.0.")] = None,
    language: _Texts = None,
    markdown: _Text = None,
    etag: options.Etag = "",
) -> None:
    """Change parts of the card of a version, also of one that is READY; what is not given stays."""
    texts = {
        "intended_use": intended_use,
        "limitations": limitations,
        "ethical_considerations": ethical_considerations,
        "training_data": training_data,
        "evaluation": evaluation,
        "citation": citation,
        "license": license_id,
    }
    parts: dict[str, str | list[str]] = {name: _content(text) for name, text in texts.items() if text is not None}
    lists = {"contacts": contact, "languages": language}
    parts |= {name: [text for text in given if text] for name, given in lists.items() if given}
    if not parts and markdown is None:
        raise typer.BadParameter("name a part to change, e.g. --limitations TEXT")
    chosen: Globals = ctx.obj
    body = None if markdown is None else _content(markdown)
    with chosen.registry() as registry:
        _show(chosen, registry.set_card(version_name(registry, ref), etag=etag, markdown=body, **parts))


@app.command("import")
def import_card(
    ctx: typer.Context,
    ref: _Ref,
    file: Annotated[Path, typer.Argument(help="README.md with front matter of Hugging Face, or without; - for stdin.")],
    *,
    etag: options.Etag = "",
) -> None:
    """Put the card of a Markdown file in place of that of a version."""
    chosen: Globals = ctx.obj
    text = sys.stdin.read() if file == _STDIN else _read(file)
    with chosen.registry() as registry:
        _show(chosen, registry.import_card(version_name(registry, ref), text, etag=etag))


@app.command("export")
def export_card(
    ctx: typer.Context,
    ref: _Ref,
    file: Annotated[Path, typer.Argument(help="Where to; - for stdout.")] = _STDIN,
) -> None:
    """Write the card of a version as Hugging Face takes it: YAML front matter and Markdown."""
    from registry_grpc.client.cards import write_card

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        text = write_card(registry.get_version(version_name(registry, ref)))
    if file == _STDIN:
        print(text, end="")
    else:
        file.write_text(text)
        chosen.note(f"wrote {file}")


def _show(chosen: Globals, version: versions_pb2.ModelVersion) -> None:
    from registry_grpc.cli import output
    from registry_grpc.client.cards import card_markdown

    if chosen.output is Output.NAME:
        print(version.name)
    elif chosen.output is not Output.TABLE:
        output.data(chosen.output, {"version": version.name, "model_card": version.model_card, **_parts(version)})
    elif not (version.model_card or version.HasField("card")):
        chosen.note(f"{version.name} has no card; write one with mreg card set or mreg card import")
    else:
        _print(_heading(version) + card_markdown(version))


def _parts(version: versions_pb2.ModelVersion) -> dict[str, object]:
    from registry_grpc.cli import output

    return {"card": output.plain(version.card)}


def _heading(version: versions_pb2.ModelVersion) -> str:
    facts = [("License", version.card.license), ("Languages", ", ".join(version.card.languages))]
    shown = "".join(f"{name}: {text}  \n" for name, text in facts if text)
    return f"{shown}\n" if shown else ""


def _print(text: str) -> None:
    """Links stay text: what a card says of them must not be hidden behind other words."""
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text, hyperlinks=False))


def _content(text: str) -> str:
    return _read(Path(text[1:])) if text.startswith("@") else text


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from error
