"""Every secret of every server of this run, and the search for it in all that gets out. P13.

Servers of tests run on secrets made for them. What a server logged and, on SQLite, stored is searched when it ends; a
database of PostgreSQL before it is dropped; a refusal when a test takes it apart.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

_TOKEN = re.compile(rb"mreg_[0-9A-Za-z]{61}")
"""Any token of any account; see `registry_grpc.domain.identity`."""
_SHORTEST = 16
"""What is shorter is no secret, and may stand anywhere."""
_SECRETS: dict[bytes, str] = {}
"""What each is, for whoever has to find the leak. The newest: servers that are long gone tell nothing any more."""
_KEPT = 64
_TELLING = ("audit", "event", "idempotency", "lease", "registry")
"""Tables that hold texts of calls, and are not made to hold secrets."""


def learn(settings: Mapping[str, str], data_dir: Path) -> None:
    """From now on the secrets of this server are searched for."""
    password = make_url(settings["database_url"]).password if "://" in settings.get("database_url", "") else ""
    found = {"database password": password, "S3 secret key": settings.get("s3_secret_key")}
    for file in (*data_dir.glob("*.token"), *data_dir.glob("*.key"), Path(settings.get("secrets_key_file", "none"))):
        if file.is_file():
            lines = [line for line in file.read_text().splitlines() if not line.startswith("-----")]
            found[file.name] = max(lines, key=len, default="")
    for what, secret in found.items():
        if secret and len(secret) >= _SHORTEST:
            _SECRETS.pop(secret.encode(), None)
            _SECRETS[secret.encode()] = what
    for old in tuple(_SECRETS)[:-_KEPT]:
        _SECRETS.pop(old, None)


def require_none(where: str, said: bytes) -> None:
    """Fail when a secret of any server is in there; the message does not repeat it."""
    leaks = {what for secret, what in tuple(_SECRETS.items()) if secret in said}  # other threads learn meanwhile
    if _TOKEN.search(said):
        leaks.add("a token")
    assert not leaks, f"{', '.join(sorted(leaks))} in {where}"


def require_none_of_server(settings: Mapping[str, str], data_dir: Path) -> None:
    """Search what a server that ended leaves: its log and, where it had one of its own, its database."""
    learn(settings, data_dir)
    for file in (data_dir / "server.log", *sorted(data_dir.glob("registry.db*"))):
        if file.is_file():
            require_none(f"{file.name} of a server", file.read_bytes())


def require_none_in_database(url: str) -> None:
    """Search the tables of a PostgreSQL database that tell of calls."""
    with psycopg.connect(url, options="-c lock_timeout=10s") as connection:
        for table in _TELLING:
            if connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() != (None,):
                # Of the server, and so in parts: a corpus of a benchmark is large.
                with connection.cursor(name="search") as cursor:
                    cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
                    while rows := cursor.fetchmany(1000):
                        require_none(f"table {table}", b"\n".join(_texts(rows)))


def _texts(rows: Iterable[tuple[object, ...]]) -> Iterator[bytes]:
    for row in rows:
        for value in row:
            yield value if isinstance(value, bytes) else str(value).encode()
