"""Where the bearer token of each call comes from: given, a file that may be rotated, or a login that is renewed."""

from __future__ import annotations

import os
import stat
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from registry_grpc.client.contexts import default_path, load_contexts, locked, write_contexts
from registry_grpc.client.errors import RegistryError, Unauthenticated

if TYPE_CHECKING:
    from pathlib import Path

    from registry_grpc.client.contexts import OidcLogin

_RETRY_S = 10.0
"""How long nobody asks an issuer again that did not answer, while the token is still good."""


class TokenSource:
    """Gives the bearer token; a file is read again when it changed, so that rotated tokens are picked up."""

    def __init__(self, token: str = "", file: Path | None = None, *, found: bool = False) -> None:
        """`found` is a file nobody named: it may be absent, and must be this user's alone."""
        self._token = token
        self.file = file
        self._found = found
        self._seen: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.origin})"

    @property
    def origin(self) -> str:
        """Where the token comes from, for people; never the token."""
        return str(self.file) if self.file else ("given" if self._token else "none")

    def token(self) -> str:
        """The token now; empty for none.

        Raises: Unauthenticated when the file cannot be used.
        """
        if self.file is None:
            return self._token
        with self._lock:
            if self._found and not self.file.exists():
                return ""
            try:
                facts = self.file.stat()
                if self._found and (facts.st_mode & 0o077 or facts.st_uid != os.geteuid()):
                    mode = stat.filemode(facts.st_mode)
                    raise Unauthenticated(
                        f"{self.file} ({mode}) can be read by others or is not yours; "
                        "chmod 600 it, or make a new token if someone may have seen it"
                    )
                if self._seen != (facts.st_mtime_ns, facts.st_ino):
                    self._token = self.file.read_text().strip()
                    self._seen = (facts.st_mtime_ns, facts.st_ino)
            except OSError as error:
                raise Unauthenticated(f"the token file {self.file} cannot be read: {error.strerror}") from error
            return self._token


class LoginTokens(TokenSource):
    """Gives the token of a login at an issuer, and gets a new one shortly before it ends.

    Concurrency: one thread of one process gets it, the others take what it wrote: an issuer that rotates refresh tokens
    takes each of them once.
    """

    def __init__(self, context: str, login: OidcLogin, path: Path | None = None) -> None:
        """`path` is the contexts file, which the login is written back to."""
        super().__init__(login.token)
        self._context = context
        self._path = path or default_path()
        self._login = login
        self._asked_at = float("-inf")

    @property
    def origin(self) -> str:
        """The context it comes from."""
        return f"context {self._context}, login at {self._login.issuer}"

    def token(self) -> str:
        """The token now.

        Raises: Unauthenticated when a new login is needed; Unavailable when the issuer does not answer.
        """
        login = self._login
        if time.time() < login.refresh_at:
            return login.token
        with self._lock:
            if time.time() >= self._login.refresh_at:
                self._renew()
            return self._login.token

    def _renew(self) -> None:
        from registry_grpc.client.oidc import refreshed  # noqa: PLC0415 -- brings HTTP along; most clients need none

        is_good = time.time() < self._login.expires
        if is_good and time.monotonic() - self._asked_at < _RETRY_S:
            return
        self._asked_at = time.monotonic()
        try:
            with locked(self._path):
                contexts = load_contexts(self._path)
                context = contexts.by_name.get(self._context)
                if context is None or context.oidc is None:
                    raise Unauthenticated(f"context {self._context!r} was logged out; `mreg login` again")
                login = context.oidc
                if time.time() >= login.refresh_at:
                    login = refreshed(login)
                    write_contexts(contexts.with_context(replace(context, oidc=login)), self._path)
                self._login = login
        except RegistryError:
            if not is_good:
                raise
