"""Where the registry is and how to be known there.

Each from its argument, else its `MREG_…` variable, else the context in force, else what `mreg serve` left.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

from registry_grpc.client.contexts import Context, load_contexts
from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.references import DEFAULT_PROJECT, is_id
from registry_grpc.client.tokens import LoginTokens, TokenSource

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
    context: str | None = None,
) -> Settings:
    """The settings, each from its argument, else its `MREG_…` variable, else the context in force, else its default.

    Raises: InvalidArgument; Unauthenticated when others can read the contexts.
    """
    known = _context_of(context, endpoint)
    saved = known or Context(name="", endpoint="")
    where = endpoint or (not context and os.environ.get("MREG_ENDPOINT")) or saved.endpoint or DEFAULT_ENDPOINT
    target_of(where)
    local = all(is_loopback(each) for each in re.sub("^ipv[46]:", "", where).split(","))
    insecure = insecure or saved.insecure
    ca = _path(ca_file or os.environ.get("MREG_CA_FILE") or saved.ca_file)
    if not client_cert and not client_key:
        client_cert, client_key = saved.client_cert, saved.client_key
    if insecure and (ca or client_cert):
        raise InvalidArgument("insecure=True and a CA or client certificate contradict each other; leave one out")
    if bool(client_cert) != bool(client_key):
        raise InvalidArgument("client_cert and client_key go together; give both or none")
    chosen = project or os.environ.get("MREG_PROJECT") or saved.project or DEFAULT_PROJECT
    if not is_id(chosen):
        raise InvalidArgument(f"project {chosen!r} is no valid id: lower-case letters, digits, '.', '_' and '-'")
    return Settings(
        endpoint=where,
        tokens=_tokens(token, token_file, known, local=local, certified=bool(client_cert)),
        tls=not insecure and (not local or ca is not None or bool(client_cert)),
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


def _context_of(given: str | None, endpoint: str | None) -> Context | None:
    """The context in force: the one that is named, else the current one unless another server is asked for.

    Its secrets go to its own endpoint only. Raises: InvalidArgument when two addresses are asked for at once.
    """
    named = given or os.environ.get("MREG_CONTEXT")
    elsewhere = endpoint or os.environ.get("MREG_ENDPOINT")
    contexts = load_contexts()
    if not named:
        context = contexts.by_name.get(contexts.current)
        return context if context is not None and elsewhere in {None, "", context.endpoint} else None
    context = contexts.find(named)
    if elsewhere in {None, "", context.endpoint}:
        return context
    if bool(given) == bool(endpoint):
        raise InvalidArgument(
            f"context {named!r} is of {context.endpoint}, and the endpoint given is {elsewhere}; leave one of them out"
        )
    # An argument wins over the environment.
    return context if given else None


def _tokens(
    token: str | None, token_file: str | Path | None, context: Context | None, *, local: bool, certified: bool
) -> TokenSource:
    if token is not None:
        return TokenSource(token)
    if token_file is not None:
        return TokenSource(file=Path(token_file))
    if value := os.environ.get("MREG_TOKEN"):
        return TokenSource(value)
    if named := os.environ.get("MREG_TOKEN_FILE"):
        return TokenSource(file=Path(named))
    if context is not None:
        return _tokens_of(context)
    # Who brings a certificate is who it says. Looked for at every call: the server may not have been started yet.
    found = local and not certified
    return TokenSource(file=default_data_dir() / "admin.token", found=True) if found else TokenSource()


def _tokens_of(context: Context) -> TokenSource:
    if context.oidc is not None:
        return LoginTokens(context.name, context.oidc)
    if context.token_file:
        return TokenSource(file=Path(context.token_file))
    return TokenSource(context.token)


def _path(value: str | Path | None) -> Path | None:
    return Path(value).expanduser() if value else None
