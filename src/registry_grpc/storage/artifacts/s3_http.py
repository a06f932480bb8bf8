"""HTTP for the S3 store: a pool whose timeouts mean what they say, and one attempt of one request."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from registry_grpc.domain.artifacts import Bytes

CONNECT_TIMEOUT_S = 1.0
SEND_TIMEOUT_S = 30.0
"""Longest silence while a request is sent: one chunk must leave in this time."""
MAX_REPLY_BYTES = 64 * 1024
"""Replies other than objects are small XML documents; what is longer is cut and then refused."""
_FAILURES = 300
"""Statuses from here on are not successes: we follow no redirects."""

# At DEBUG it logs the target of each request, and our targets are signed: whoever reads one may use it.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Request:
    """One signed request. The body is sent chunk by chunk and never copied together."""

    method: str
    url: str = field(repr=False)
    read_timeout_s: float
    chunks: Sequence[Bytes] = ()
    size_bytes: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers and the (bounded) body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The store could not be reached, or hung up, or was silent for too long."""


# urllib3 sends under the connect timeout. One second is right for connecting and wrong for sending a
# megabyte to a busy store, so these connect under their own.


class _Connection(HTTPConnection):
    def connect(self) -> None:
        patience, self.timeout = self.timeout, CONNECT_TIMEOUT_S
        try:
            super().connect()
        finally:
            self.timeout = patience
        self.sock.settimeout(SEND_TIMEOUT_S)


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        patience, self.timeout = self.timeout, CONNECT_TIMEOUT_S
        try:
            super().connect()
        finally:
            self.timeout = patience
        self.sock.settimeout(SEND_TIMEOUT_S)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def connection_pool(connections: int, ca_file: str | None) -> urllib3.PoolManager:
    """A pool without retries of its own: they would multiply the time a dead store takes."""
    pool = urllib3.PoolManager(
        num_pools=2,
        maxsize=connections,
        retries=False,
        timeout=urllib3.Timeout(connect=SEND_TIMEOUT_S, read=SEND_TIMEOUT_S),
        cert_reqs="CERT_REQUIRED",
        ca_certs=ca_file,
    )
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return pool


class Body:
    """A successful reply whose body is still to be read."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def read(self, size_bytes: int) -> bytes:
        """At most `size_bytes`; empty at the end.

        Raises: OSError when the store falls silent or hangs up before the end.
        """
        try:
            return self._response.read(size_bytes)
        except urllib3.exceptions.HTTPError:
            is_cut = True
        if is_cut:
            raise ConnectionAbortedError
        return b""

    def close(self, *, is_read: bool) -> None:
        """Keep the connection when all was read, else drop it: reading on could take hours."""
        if is_read:
            self._response.release_conn()
        else:
            self._response.close()


def send(pool: urllib3.PoolManager, request: Request, *, streams: bool) -> Body | Reply | NoAnswer:
    """Send a request once. A success is a Body when `streams`, everything else a whole Reply."""
    headers = dict(request.headers)
    has_body = request.method in {"PUT", "POST"}
    if has_body:
        # Without it urllib3 sends an iterable in chunked encoding, which S3 refuses.
        headers["Content-Length"] = str(request.size_bytes)
    try:
        response = pool.request(
            request.method,
            request.url,
            # http.client sends whatever has a buffer; the annotation knows of bytes only.
            body=cast(Sequence[bytes], request.chunks) if has_body else None,
            headers=headers,
            timeout=urllib3.Timeout(connect=SEND_TIMEOUT_S, read=request.read_timeout_s),
            preload_content=False,
            redirect=False,
        )
        if streams and response.status < _FAILURES:
            return Body(response)
        return _read_whole(response)
    except (urllib3.exceptions.HTTPError, OSError):
        return NoAnswer()


def _read_whole(response: urllib3.BaseHTTPResponse) -> Reply:
    is_read = False
    try:
        body = response.read(MAX_REPLY_BYTES + 1)
        is_read = len(body) <= MAX_REPLY_BYTES
        return Reply(response.status, response.headers, body)
    finally:
        if is_read:
            response.release_conn()
        else:
            response.close()
