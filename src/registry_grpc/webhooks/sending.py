"""One attempt to send one delivery: resolved once, pinned, without proxies or redirects, and with an end to it."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import http.client
import io
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from registry_grpc import __version__
from registry_grpc.domain.webhooks import MAX_ERROR, Attempt
from registry_grpc.webhooks.guard import RefusedError, Target, parse_target
from registry_grpc.webhooks.secrets import signatures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from registry_grpc.domain.webhooks import Delivery, Webhook
    from registry_grpc.ports.webhooks import WebhookSecrets
    from registry_grpc.webhooks.guard import Address, Guard

TIMEOUT_S = 15.0
"""For everything: name, connection, TLS, request and answer."""
CONNECT_TIMEOUT_S = 5.0
MAX_ADDRESSES = 4
MAX_HEAD_BYTES = 16 * 1024
MAX_ANSWER_BYTES = 64 * 1024
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
_USER_AGENT = f"registry-grpc/{__version__}"
_SUCCESS = range(200, 300)
_REDIRECT = range(300, 400)
_INTERIM = range(100, 200)
_MAX_INTERIM = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said."""

    status: int
    retry_after: timedelta | None
    text: str
    """The beginning of its body, for people."""


class Sender:
    """Sends deliveries. Concurrency: one event loop, any number of attempts at once."""

    def __init__(
        self, guard: Guard, secrets: WebhookSecrets, ca_file: Path | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Receivers must have a certificate of the system's authorities, or of those in `ca_file`.

        Raises: OSError, ssl.SSLError.
        """
        self._guard = guard
        self._secrets = secrets
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)

    async def send(self, webhook: Webhook, delivery: Delivery, now: datetime) -> Attempt:
        """What came of one attempt at `now`, the database's time. Never raises for what the receiver does."""
        began = time.monotonic()
        answer, error = None, ""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._ask(webhook, delivery, now)
        except TimeoutError:
            error = f"no answer within {self._timeout_s:g} s"
        except RefusedError as refusal:
            error = f"not sent: {refusal}"
        except (OSError, ssl.SSLError, http.client.HTTPException, ValueError, EOFError) as fault:
            error = _said(fault)
        if answer is not None and answer.status not in _SUCCESS:
            what = "a redirect, which is not followed" if answer.status in _REDIRECT else "no success"
            error = f"HTTP {answer.status} is {what}: {answer.text}".rstrip(": ")
        return Attempt(
            time=now,
            duration=timedelta(seconds=time.monotonic() - began),
            http_status=answer.status if answer else 0,
            error=error[:MAX_ERROR],
            retry_after=answer.retry_after if answer else None,
        )

    async def _ask(self, webhook: Webhook, delivery: Delivery, now: datetime) -> Answer:
        target = parse_target(webhook.url)
        keys = [self._secrets.open(webhook.uid, webhook.secret)]
        if webhook.old_secret and webhook.old_secret_expire_time and now < webhook.old_secret_expire_time:
            keys.append(self._secrets.open(webhook.uid, webhook.old_secret))
        body = delivery.body.encode()
        timestamp_s = int(now.timestamp())
        head = "\r\n".join(
            (
                f"POST {target.path} HTTP/1.1",
                f"host: {target.host_header}",
                f"user-agent: {_USER_AGENT}",
                "accept: */*",
                "connection: close",
                f"content-type: {CONTENT_TYPE}",
                f"content-length: {len(body)}",
                f"webhook-id: {delivery.id}",
                f"webhook-timestamp: {timestamp_s}",
                f"webhook-signature: {signatures(delivery.id, timestamp_s, body, keys)}",
                "\r\n",
            )
        )
        reader, writer = await self._connect(target, await self._guard.addresses(target))
        try:
            writer.write(head.encode("ascii") + body)
            await writer.drain()
            return await _read_answer(reader)
        finally:
            # Not close: TLS would wait for the other side to say goodbye.
            writer.transport.abort()

    async def _connect(
        self, target: Target, addresses: Sequence[Address]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the first of the addresses that takes one.

        Raises: OSError, ssl.SSLError, RefusedError.
        """
        failure: OSError = OSError("no address")
        for address in addresses[:MAX_ADDRESSES]:
            self._guard.require(target, address)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    return await asyncio.open_connection(
                        str(address),
                        target.port,
                        ssl=self._tls if target.scheme == "https" else None,
                        server_hostname=target.host if target.scheme == "https" else None,
                        limit=MAX_HEAD_BYTES,
                    )
            except TimeoutError:
                failure = OSError(f"no connection to {address} within {CONNECT_TIMEOUT_S:g} s")
            except OSError as error:
                failure = error
        raise failure


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    for _ in range(_MAX_INTERIM):
        status, headers = await _read_head(reader)
        if status not in _INTERIM:
            break
    else:
        raise http.client.HTTPException("too many interim answers")
    text = b""
    if status not in _SUCCESS:
        # The status is known; what else is said is for people, and may be cut.
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(2.0):
                while len(text) < MAX_ANSWER_BYTES and (part := await reader.read(MAX_ANSWER_BYTES - len(text))):
                    text += part
    return Answer(status, _retry_after(headers.get("retry-after", "")), _printable(text))


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, http.client.HTTPMessage]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise http.client.HTTPException(f"the head of the answer is longer than {MAX_HEAD_BYTES} bytes") from None
    except asyncio.IncompleteReadError:
        raise http.client.HTTPException("the receiver hung up without an answer") from None
    line, _, rest = head.partition(b"\r\n")
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit() or len(words[1]) != 3:  # noqa: PLR2004 - a status line
        raise http.client.HTTPException("the receiver does not speak HTTP/1.1")
    return int(words[1]), http.client.parse_headers(io.BytesIO(rest))


def _retry_after(text: str) -> timedelta | None:
    """Seconds, or a date."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:12]), 10**9))
    try:
        wanted = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if wanted.tzinfo is None:
        wanted = wanted.replace(tzinfo=UTC)
    return max(timedelta(0), wanted - datetime.now(UTC))


def _printable(text: bytes) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:MAX_ERROR].decode(errors="replace")).strip()


def _said(fault: Exception) -> str:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"the certificate was not accepted: {fault.verify_message}"
    return f"{type(fault).__name__}: {fault}"
