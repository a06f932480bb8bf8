"""The first token: without it nobody could make another one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from registry_grpc.domain.calls import Principal
from registry_grpc.domain.identity import Token, TokenText, parse_token, token_text
from registry_grpc.ports.store import Store, Unit

ADMIN = Principal("user:admin")
FILE_NAME = "admin.token"


def ensure_admin_token(store: Store, data_dir: Path, given: Path | None = None) -> Path | None:
    """Make the admin token unless the registry has a token: the file it is in, or None when nothing was made.

    The token in the file `given` becomes it, where there is one.

    The plain text stands only in that file, and is on disk before the token counts: a crash between leaves a file
    that opens nothing, which the next start replaces. Replicas may call this at once; one of them makes the token.
    """
    if store.read(lambda reader: bool(reader.tokens.list())):
        return None
    if given is not None:
        return given if _insert_first(store, read_token(given)) else None
    text = token_text(secrets.token_bytes(9), secrets.token_bytes(32))
    path = data_dir / FILE_NAME
    path.unlink(missing_ok=True)
    _write_secret(path, str(text))
    if _insert_first(store, text):
        return path
    path.unlink(missing_ok=True)
    return None


def read_token(path: Path) -> TokenText:
    """The token a file holds.

    Raises: OSError; ValueError, without what is in the file.
    """
    found = parse_token(path.read_text(errors="replace").strip())
    if found is None:
        raise ValueError(f"{path} holds no token of the registry; make one with `mreg tokens generate`")
    return found


def _insert_first(store: Store, text: TokenText) -> bool:
    """Whether this token became the first."""

    def work(unit: Unit) -> bool:
        # Racing replicas line up at this row, so that only one of them sees no token.
        unit.projects.lock("default")
        if unit.tokens.list():
            return False
        unit.tokens.insert(
            Token(
                id=text.id,
                secret_hash=text.hash(),
                principal=ADMIN.name,
                create_time=unit.now,
            )
        )
        return True

    return store.write(work).get()


def _write_secret(path: Path, text: str) -> None:
    """A new file, never through a link someone else put there, on disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
