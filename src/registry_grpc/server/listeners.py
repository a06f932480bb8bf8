"""Where the server listens, how a listener is secured, and the options of gRPC that were measured to matter."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import grpc
from grpc import aio

from registry_grpc.server.certificates import Certificates

MIB = 1 << 20
RSS_PER_STREAM = 16 << 10
MAX_STREAMS = 10_000
"""Fuse for memory only (16 KiB each, half-sent ones included); admission is in the interceptor."""


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


def server_options(*, max_message_bytes: int, max_connection_age_s: float, reuse_port: bool) -> list[tuple[str, int]]:
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
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
        ("grpc.max_connection_age_ms", age_ms),
        ("grpc.max_connection_age_grace_ms", 600_000),
        ("grpc.max_metadata_size", 8 * 1024),
        # What an upload may send ahead of us. Left to itself gRPC measures the line and lets this grow to what a slow
        # store holds up: 40 MiB and more of memory for one upload.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024),
    ]


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
    return certificates.credentials(client_certificates=listener.mode is TlsMode.MTLS)


def existing(path: Path | None) -> Path | None:
    """`path` when it is a readable file or not given.

    Raises: ValueError.
    """
    if path is not None and not path.is_file():
        raise ValueError(f"{path} is no file")
    return path
