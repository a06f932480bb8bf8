"""`mreg serve`: every setting of the server is a flag of the same name; the server itself is loaded only here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from registry_grpc.cli.failures import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry_grpc.server.settings import Settings

SERVE_CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}
_REPEATED = {"listen"}
_ABOUT = {
    "--config FILE": "TOML file with settings; MREG_CONFIG.",
    "--check": "Check the settings and exit.",
    "--help": "Show this.",
}


def serve(ctx: typer.Context) -> None:
    """Run the registry server; with no settings on 127.0.0.1:7470 over SQLite and a local directory."""
    if {"--help", "-h"} & set(ctx.args):
        print(help_text())
        return
    try:
        from registry_grpc.server.configuration import SettingsError, load_settings
    except ImportError as error:
        print(f"mreg: the server is not installed ({error}); pip install 'registry-grpc[server]'", file=sys.stderr)
        raise typer.Exit(ExitCode.ERROR) from None
    flags, config, check = parse(ctx.args)
    try:
        settings = load_settings(flags, os.environ, config)
    except SettingsError as error:
        for fault in error.faults:
            print(f"mreg: {fault}", file=sys.stderr)
        raise typer.Exit(ExitCode.USAGE) from None
    if check:
        print("the settings are valid")
        return
    run(settings)


def run(settings: Settings) -> None:
    """Serve until a signal to stop.

    Raises: typer.Exit with a line on stderr when the server cannot start.
    """
    from registry_grpc.domain.errors import RegistryError
    from registry_grpc.server.listeners import BindError
    from registry_grpc.server.main import serve as serve_until_stopped
    from registry_grpc.server.workers import WorkersError
    from registry_grpc.storage.sql.faults import AddressError, SchemaError, StoreInUseError

    try:
        serve_until_stopped(settings)
    except AddressError as error:
        print(f"mreg: database_url: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.USAGE) from None
    except (BindError, SchemaError, StoreInUseError) as error:
        print(f"mreg: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.ERROR) from None
    except WorkersError as error:
        print(f"mreg: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.UNAVAILABLE if error.unavailable else ExitCode.ERROR) from None
    except RegistryError as error:
        print(f"mreg: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.UNAVAILABLE) from None


def parse(arguments: Sequence[str]) -> tuple[dict[str, Any], Path | None, bool]:
    """Flags by setting, the `--config` file, and whether `--check` was given.

    Raises: typer.BadParameter.
    """
    flags: dict[str, Any] = {}
    config: Path | None = None
    check = False
    waiting = iter(arguments)
    switches = _switches()
    for argument in waiting:
        name, equals, value = argument.partition("=")
        if not name.startswith("--"):
            raise typer.BadParameter(f"{argument!r} is no setting; `mreg serve --help` lists them")
        key = name.removeprefix("--").replace("-", "_")
        if name == "--check":
            check = True
            continue
        if not equals and key in switches:
            flags[key] = True
            continue
        if not equals and key.removeprefix("no_") in switches:
            flags[key.removeprefix("no_")] = False
            continue
        value = value if equals else _next(waiting, name)
        if key == "config":
            config = Path(value)
        elif key in _REPEATED:
            flags[key] = (*flags.get(key, ()), *value.split(","))
        else:
            flags[key] = value
    return flags, config, check


def _next(waiting: Any, name: str) -> str:  # noqa: ANN401 -- an iterator of texts
    value = next(waiting, None)
    if value is None:
        raise typer.BadParameter(f"{name} needs a value")
    return str(value)


def _fields() -> Mapping[str, Any]:
    from registry_grpc.server.settings import Settings

    return Settings.model_fields


def _switches() -> set[str]:
    return {name for name, field in _fields().items() if field.annotation is bool}


def help_text() -> str:
    """Every setting as a flag, with its default; the environment has each as `MREG_…`, the TOML file by name."""
    rows = dict(_ABOUT)
    for name, field in _fields().items():
        flag = "--" + name.replace("_", "-")
        if field.annotation is bool:
            rows[flag if not field.default else f"{flag}, --no-{name.replace('_', '-')}"] = _default(field)
        else:
            choices = [str(each) for each in get_args(field.annotation) if isinstance(each, str)]
            rows[f"{flag} {'|'.join(choices) or 'VALUE'}"] = _default(field)
    width = max(map(len, rows))
    lines = [f"  {flag.ljust(width)}  {text}".rstrip() for flag, text in rows.items()]
    head = "Usage: mreg serve [SETTINGS]\n\nRun the registry server. Each setting is a flag, an environment variable "
    return (
        head
        + "(MREG_DATA_DIR for --data-dir)\nor a line of the TOML file; the first of these wins.\n\n"
        + "\n".join(lines)
    )


def _default(field: Any) -> str:  # noqa: ANN401 -- pydantic's FieldInfo, which is not loaded here
    if field.default_factory is not None:
        return f"default {field.default_factory()}"
    if field.default is None:
        return ""
    shown = ",".join(field.default) if isinstance(field.default, tuple) else str(field.default).lower()
    return f"default {shown}"
