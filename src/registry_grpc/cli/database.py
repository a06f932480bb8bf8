"""`mreg db`: the schema of the server's database, with the settings of `mreg serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry_grpc.cli.failures import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

from contextlib import contextmanager

app = typer.Typer(help="The schema of the server's database.", no_args_is_help=True)
_DataDir = Annotated[Path | None, typer.Option(help="As of `mreg serve`; MREG_DATA_DIR.")]
_UrlFile = Annotated[Path | None, typer.Option(help="File with the SQLAlchemy URL; or MREG_DATABASE_URL.")]
_Config = Annotated[Path | None, typer.Option(help="TOML file of `mreg serve`.")]


@app.command()
def upgrade(
    *,
    data_dir: _DataDir = None,
    database_url_file: _UrlFile = None,
    config: _Config = None,
    grant_to: Annotated[
        str, typer.Option(metavar="ROLE", help="Role servers log in as, where another one owns the tables: its rights.")
    ] = "",
) -> None:
    """Bring the schema up to this program's."""
    with _failures():
        from registry_grpc.storage.sql import schema

        before, after = schema.upgrade(_url(data_dir, database_url_file, config), grant_to)
        print(f"schema {after}, no change" if before == after else f"schema {before or 'empty'} -> {after}")


@app.command()
def check(*, data_dir: _DataDir = None, database_url_file: _UrlFile = None, config: _Config = None) -> None:
    """Say whether this program can work on the database; exits 5 when it cannot."""
    with _failures():
        from registry_grpc.storage.sql import schema

        state = schema.check(_url(data_dir, database_url_file, config))
    if not state.ok:
        print(f"mreg: {state.advice}", file=sys.stderr)
        raise typer.Exit(ExitCode.CONFLICT)
    print(f"schema {state.current}")


def _url(data_dir: Path | None, database_url_file: Path | None, config: Path | None) -> str:
    from registry_grpc.server.configuration import load_settings

    flags = {
        "data_dir": str(data_dir) if data_dir else None,
        "database_url_file": str(database_url_file) if database_url_file else None,
    }
    settings = load_settings(flags, os.environ, config)
    embedded = settings.database_url is None and settings.database_url_file is None
    if embedded:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return settings.database.get_secret_value()


@contextmanager
def _failures() -> Iterator[None]:
    from registry_grpc.domain.errors import RegistryError
    from registry_grpc.server.configuration import SettingsError
    from registry_grpc.storage.sql.faults import AddressError, SchemaError, StoreInUseError

    try:
        yield
    except SettingsError as error:
        print(f"mreg: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.USAGE) from None
    except AddressError as error:
        print(f"mreg: database_url: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.USAGE) from None
    except (SchemaError, StoreInUseError) as error:
        print(f"mreg: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.CONFLICT) from None
    except (RegistryError, OSError) as error:
        print(f"mreg: {error}", file=sys.stderr)
        raise typer.Exit(ExitCode.UNAVAILABLE) from None
