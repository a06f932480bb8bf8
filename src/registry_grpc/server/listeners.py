"""Where the server listens, how a listener is secured, and the options of gRPC that were measured to matter."""

from __future__ import annotations

import ipaddress
import random
import socket
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import grpc
from grpc import aio

from registry_grpc.server.certificates import Certificates

MIB = 1 << 20
MAX_STREAMS = 32_768
"""Fuse for memory only: about 22 KiB each are 700 MiB. Whoever trips it shuts all others out, and half-sent calls
count, which nobody authenticated; so it is far off, and admission is in the interceptor."""


class TlsMode(StrEnum):
    """How a listener is secured."""

    PLAINTEXT = "plaintext"
    TLS = "tls"
    MTLS = "mtls"


@dataclass(frozen=True, slots=True)
class Listener:
    """One address."""

    mode: TlsMode
    host: str
    port: int

    @property
    def address(self) -> str:
        """`host:port`, as gRPC takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"{self.mode}://{self.address}"


class BindError(Exception):
    """A listener could not be opened."""


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine only; any other name than `localhost` may be anything."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_listener(text: str, *, default: TlsMode) -> Listener:
    """The listener `text` stands for: `[tls|mtls|plaintext://]host:port`.

    Raises: ValueError.
    """
    scheme, found, rest = text.rpartition("://")
    try:
        mode = TlsMode(scheme) if found else default
    except ValueError:
        raise ValueError(f"{text!r}: {scheme!r} is no mode; write tls://, mtls:// or plaintext://") from None
    host, colon, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):  # noqa: PLR2004
        raise ValueError(f"{text!r} is no address; write host:port, e.g. 127.0.0.1:7470")
    return Listener(mode, host, int(port))


def server_options(
    *,
    max_message_bytes: int,
    max_connections: int,
    max_connection_age_s: float,
    max_connection_age_grace_s: float,
    reuse_port: bool,
) -> list[tuple[str, int]]:
    """Options of `grpc.aio.server`.

    Source: the measurements in the research notes. SO_REUSEPORT is on by default and hides port clashes; the name
    of the ping option is this one, others are silently ignored; the age of connections is what ends half-sent calls.
    """
    # Spread, so that a fleet's connections do not all come back in one second.
    age_ms = int(max_connection_age_s * 1000 * random.uniform(0.9, 1.1))  # noqa: S311 - not a secret
    return [
        ("grpc.so_reuseport", int(reuse_port)),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_concurrent_streams", 256),
        # Of more calls than this that the loop has not looked at yet gRPC throws some away, anybody's, as CANCELLED: by
        # default from 1,000 on, which one burst of half-sent calls is.
        ("grpc.server.max_pending_requests", MAX_STREAMS),
        ("grpc.server.max_pending_requests_hard_limit", MAX_STREAMS),
        # Counted per listener, from the handshake on: those who never say a word, and have shown no token, count.
        ("grpc.max_allowed_incoming_connections", max_connections),
        # By default two minutes for each of those places.
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
        ("grpc.max_connection_age_ms", age_ms),
        ("grpc.max_connection_age_grace_ms", int(max_connection_age_grace_s * 1000)),
        # Between the two it is refused by chance; without the second the upper one would be 16 KiB.
        ("grpc.max_metadata_size", 8 * 1024),
        ("grpc.absolute_max_metadata_size", 10 * 1024),
        # What an upload may send ahead of us. Left to itself gRPC measures the line and lets this grow to what a slow
        # store holds up: 40 MiB and more of memory for one upload.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024),
    ]


def reserve(listener: Listener) -> tuple[socket.socket, Listener]:
    """A socket that holds the address for processes which share it, and the listener with its port chosen.

    It never listens, so it gets no connection. Close it when the last of them has ended.

    Raises: BindError.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(listener.host, listener.port, type=socket.SOCK_STREAM)[0]
        if listener.port:
            # SO_REUSEPORT would share the port with another registry of this user without a word.
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError as error:
        raise BindError(f"cannot listen on {listener}: is another server running there? ({error})") from None
    return held, replace(listener, port=held.getsockname()[1])


def bind(server: aio.Server, listener: Listener, certificates: Certificates | None) -> int:
    """Open `listener` on `server`: the port, which was chosen when it was 0.

    Raises: BindError.
    """
    try:
        if listener.mode is TlsMode.PLAINTEXT:
            port = server.add_insecure_port(listener.address)
        else:
            port = server.add_secure_port(listener.address, _credentials(listener, certificates))
    except RuntimeError as error:
        raise BindError(f"cannot listen on {listener}: is another server running there? ({error})") from None
    if port == 0:
        raise BindError(f"cannot listen on {listener}")
    return port


def _credentials(listener: Listener, certificates: Certificates | None) -> grpc.ServerCredentials:
    if certificates is None:
        raise BindError(f"{listener} needs tls_cert and tls_key")
    try:
        return certificates.credentials(client_certificates=listener.mode is TlsMode.MTLS)
    except ValueError as error:
        raise BindError(f"cannot listen on {listener}: {error}") from None


def existing(path: Path | None) -> Path | None:
    """`path` when it is a readable file or not given.

    Raises: ValueError.
    """
    if path is not None and not path.is_file():
        raise ValueError(f"{path} is no file")
    return path
