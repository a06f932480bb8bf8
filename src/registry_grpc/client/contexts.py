"""Servers somebody logged in to: `contexts.toml` in the configuration directory, readable by its owner alone."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry_grpc.client.errors import InvalidArgument, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_KINDS: dict[str, type | tuple[type, ...]] = {"insecure": bool, "refresh_at": (int, float), "expires": (int, float)}
"""Of what is no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcLogin:
    """A login at an OpenID Connect issuer. Its `repr` shows no token."""

    issuer: str
    client_id: str
    ca_file: str = ""
    token: str = field(default="", repr=False)
    """What is sent to the registry."""
    refresh_at: float = 0.0
    """When to get the next one, seconds since the epoch."""
    expires: float = 0.0
    refresh_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One server and who one is there. Its `repr` shows no token."""

    name: str
    endpoint: str
    project: str = ""
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    insecure: bool = False
    token: str = field(default="", repr=False)
    token_file: str = ""
    oidc: OidcLogin | None = None

    @property
    def credential(self) -> str:
        """What it comes in by, for people; never the secret."""
        if self.oidc is not None:
            return f"login at {self.oidc.issuer}"
        if self.token_file:
            return f"token in {self.token_file}"
        if self.token:
            return "token"
        return f"certificate {self.client_cert}" if self.client_cert else "none"

    def logged_out(self) -> Context:
        """The same server without its secrets."""
        return replace(self, token="", token_file="", oidc=None, client_cert="", client_key="")


@dataclass(frozen=True, slots=True)
class Contexts:
    """All of them, by name, and the one that is used when none is named."""

    current: str = ""
    by_name: Mapping[str, Context] = field(default_factory=dict)

    def find(self, name: str) -> Context:
        """The context of that name.

        Raises: InvalidArgument.
        """
        if name not in self.by_name:
            known = ", ".join(sorted(self.by_name)) or "none"
            raise InvalidArgument(f"there is no context {name!r}; there are: {known}; `mreg login` makes one")
        return self.by_name[name]

    def with_context(self, context: Context, *, current: bool = False) -> Contexts:
        """Also this one, in place of the one that had its name."""
        return Contexts(context.name if current else self.current, {**self.by_name, context.name: context})

    def without(self, name: str) -> Contexts:
        """All but that one.

        Raises: InvalidArgument.
        """
        self.find(name)
        rest = {each: context for each, context in self.by_name.items() if each != name}
        return Contexts("" if self.current == name else self.current, rest)


def default_path() -> Path:
    """`$XDG_CONFIG_HOME/mreg/contexts.toml`, else `~/.config/mreg/contexts.toml`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mreg" / "contexts.toml"


def load_contexts(path: Path | None = None) -> Contexts:
    """What the file holds; nothing when there is none.

    Raises: Unauthenticated when others can read it; InvalidArgument when it is broken.
    """
    path = path or default_path()
    try:
        facts = path.stat()
        if facts.st_mode & 0o077 or facts.st_uid != os.geteuid():
            raise Unauthenticated(
                f"{path} ({stat.filemode(facts.st_mode)}) can be read by others or is not yours; "
                "chmod 600 it, and log in again if someone may have seen it"
            )
        return _parse(tomllib.loads(path.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return Contexts()
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidArgument(f"{path} cannot be used ({error}); mend it, or remove it and log in again") from None


def change_contexts(change: Callable[[Contexts], Contexts], path: Path | None = None) -> Contexts:
    """The contexts after `change`, written in one step. One process at a time changes them.

    Raises: as `load_contexts`, and what `change` raises; nothing is written then.
    """
    path = path or default_path()
    with locked(path):
        changed = change(load_contexts(path))
        write_contexts(changed, path)
        return changed


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone with the file, among the processes of this machine. Also makes its directory, 0700.

    Raises: InvalidArgument when that cannot be written.
    """
    import fcntl  # noqa: PLC0415 -- there is none on Windows, where the SDK works with tokens that are given

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidArgument(f"{path.parent} cannot be written: {error.strerror}; set XDG_CONFIG_HOME") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_contexts(contexts: Contexts, path: Path) -> None:
    """Replace the file in one step; call it while `locked`."""
    # mkstemp makes it 0600, and never through a link.
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(_text(contexts))
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _parse(values: dict[str, Any]) -> Contexts:
    found = {}
    for name, table in values.get("contexts", {}).items():
        login = table.pop("oidc", None)
        for key, value in (*table.items(), *(login or {}).items()):
            if not isinstance(value, _KINDS.get(key, str)):
                raise TypeError(f"context {name!r}: {key} is {type(value).__name__}")
        found[name] = Context(name=name, oidc=OidcLogin(**login) if login else None, **table)
    current = values.get("current", "")
    return Contexts(current if current in found else "", found)


def _text(contexts: Contexts) -> str:
    lines = ["# Written by mreg; holds secrets.", f"current = {_quoted(contexts.current)}"]
    for name, context in sorted(contexts.by_name.items()):
        lines += ["", f"[contexts.{_quoted(name)}]", *_pairs(context)]
        if context.oidc is not None:
            lines += ["", f"[contexts.{_quoted(name)}.oidc]", *_pairs(context.oidc)]
    return "\n".join(lines) + "\n"


def _pairs(thing: Context | OidcLogin) -> Iterator[str]:
    for each in fields(thing):
        value = getattr(thing, each.name)
        if each.name == "name" or not value or isinstance(value, OidcLogin):
            continue
        yield f"{each.name} = {_quoted(value) if isinstance(value, str) else json.dumps(value)}"


def _quoted(text: str) -> str:
    """A TOML string: JSON's, except that DEL is escaped too and nothing else beyond ASCII."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
