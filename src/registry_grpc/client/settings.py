"""Where the registry is and how to be known there: argument, else environment, else what `mreg serve` left."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

from registry_grpc.client.errors import InvalidArgument, Unauthenticated
from registry_grpc.client.references import DEFAULT_PROJECT, is_id

DEFAULT_ENDPOINT = "127.0.0.1:7470"
DEFAULT_TIMEOUT_S = 30.0
_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:", "xds:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to reach one registry. Secrets stay out of `repr`: only the files they come from are named."""

    endpoint: str
    tokens: TokenSource
    tls: bool
    ca_file: Path | None
    client_cert: Path | None
    client_key: Path | None
    project: str
    cache_dir: Path
    timeout_s: float


def load(  # one parameter per setting
    endpoint: str | None = None,
    *,
    token: str | None = None,
    token_file: str | Path | None = None,
    ca_file: str | Path | None = None,
    client_cert: str | Path | None = None,
    client_key: str | Path | None = None,
    project: str | None = None,
    cache_dir: str | Path | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    insecure: bool = False,
) -> Settings:
    """The settings, each from its argument, else its `MREG_…` variable, else its default.

    Raises: InvalidArgument.
    """
    where = endpoint or os.environ.get("MREG_ENDPOINT") or DEFAULT_ENDPOINT
    target_of(where)
    local = all(is_loopback(each) for each in re.sub("^ipv[46]:", "", where).split(","))
    ca = _path(ca_file or os.environ.get("MREG_CA_FILE"))
    if insecure and (ca or client_cert):
        raise InvalidArgument("insecure=True and a CA or client certificate contradict each other; leave one out")
    if bool(client_cert) != bool(client_key):
        raise InvalidArgument("client_cert and client_key go together; give both or none")
    chosen = project or os.environ.get("MREG_PROJECT") or DEFAULT_PROJECT
    if not is_id(chosen):
        raise InvalidArgument(f"project {chosen!r} is no valid id: lower-case letters, digits, '.', '_' and '-'")
    return Settings(
        endpoint=where,
        tokens=_tokens(token, token_file, local=local),
        tls=not insecure and (not local or ca is not None or client_cert is not None),
        ca_file=ca,
        client_cert=_path(client_cert),
        client_key=_path(client_key),
        project=chosen,
        cache_dir=_path(cache_dir or os.environ.get("MREG_CACHE_DIR")) or default_cache_dir(),
        timeout_s=timeout_s,
    )


def is_loopback(endpoint: str) -> bool:
    """Whether the endpoint can only be this machine: a Unix socket, `localhost`, 127.0.0.0/8 or ::1."""
    if endpoint.startswith(("unix:", "unix-abstract:")):
        return True
    host = re.sub(r"^[a-z][a-z0-9+.-]*:/*", "", endpoint) if "//" in endpoint else endpoint
    host = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def target_of(endpoint: str) -> str:
    """The gRPC target of an endpoint; calls take turns over several addresses, and leave out those that are away.

    Raises: InvalidArgument when several are given and not all are `IP:port`.
    """
    if "," not in endpoint or endpoint.startswith(_SCHEMES):
        return endpoint
    kinds = {_ip_version(each) for each in endpoint.split(",")}
    if len(kinds) > 1 or 0 in kinds:
        raise InvalidArgument(
            f"endpoint {endpoint!r}: several endpoints must all be IPv4:port or all [IPv6]:port; "
            "for names give one name that has all the addresses, as dns:///name:port"
        )
    return f"ipv{kinds.pop()}:{endpoint}"


def _ip_version(endpoint: str) -> int:
    host, colon, port = endpoint.rpartition(":")
    try:
        return ipaddress.ip_address(host.strip("[]")).version if colon and port.isdecimal() else 0
    except ValueError:
        return 0


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/mreg`, else `~/.cache/mreg`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mreg"


def default_data_dir() -> Path:
    """Where `mreg serve` of this user keeps its data: `MREG_DATA_DIR`, `$XDG_DATA_HOME/mreg`, `~/.local/share/mreg`."""
    named = os.environ.get("MREG_DATA_DIR")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "mreg"


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
        return f"TokenSource({self.origin})"

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


def _tokens(token: str | None, token_file: str | Path | None, *, local: bool) -> TokenSource:
    if token is not None:
        return TokenSource(token)
    if token_file is not None:
        return TokenSource(file=Path(token_file))
    if value := os.environ.get("MREG_TOKEN"):
        return TokenSource(value)
    if named := os.environ.get("MREG_TOKEN_FILE"):
        return TokenSource(file=Path(named))
    # Looked for at every call: the server may not have been started yet.
    return TokenSource(file=default_data_dir() / "admin.token", found=True) if local else TokenSource()


def _path(value: str | Path | None) -> Path | None:
    return Path(value).expanduser() if value else None
