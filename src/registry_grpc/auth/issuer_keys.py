"""The keys of one issuer over time: read when first wanted, read again when old or when a token has a new key's id.

Limits are the point: whoever sends tokens with made-up key ids must not make us ask the issuer more than now and then,
and an issuer that is away must not take its users with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry_grpc.auth.documents import TIMEOUT_S, Document, Fetcher, FetchError, is_trustworthy, read_file
from registry_grpc.auth.jwks import MAX_BYTES, KeySet, parse_keys
from registry_grpc.auth.jwt_text import JwtText, refuse
from registry_grpc.domain.errors import Reason, RegistryError

DEFAULT_TTL_S = 600.0
MIN_TTL_S = 60.0
MAX_TTL_S = 3600.0
UNKNOWN_KEY_S = 30.0
"""Tokens with unknown key ids cause one read in this time at most."""
RETRY_S = 5.0
"""So does an issuer that could not be read."""
MAX_WAITING = 256
"""Callers who wait for one issuer. They are strangers, and each holds one of the calls a server has room for."""
_DISCOVERY = "/.well-known/openid-configuration"
_LOG = logging.getLogger("registry_grpc.issuers")
Run = Callable[..., Awaitable["tuple[KeySet, float | None]"]]


class FetchReport(Protocol):
    """Whoever counts how reading goes."""

    def keys_fetched(self, *, ok: bool) -> None:
        """The keys of an issuer were read, or could not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """Where the keys of one issuer are. Without `jwks_uri` and `jwks_file` its discovery document says it."""

    issuer: str
    jwks_uri: str | None = None
    jwks_file: Path | None = None
    ca_file: Path | None = None
    token_file: Path | None = None

    def read(self) -> tuple[KeySet, float | None]:
        """The keys, and for how many seconds they are said to be good. Blocking.

        Raises: FetchError.
        """
        document = self._document()
        try:
            return parse_keys(document.data), document.max_age_s
        except ValueError as error:
            raise FetchError(f"{self.jwks_file or self.jwks_uri or self.issuer}: {error}") from None

    def _document(self) -> Document:
        if self.jwks_file is not None:
            return read_file(self.jwks_file, MAX_BYTES)
        fetcher = Fetcher(ca_file=self.ca_file, token_file=self.token_file)
        return fetcher.fetch(self.jwks_uri or self._discovered(fetcher), MAX_BYTES)

    def _discovered(self, fetcher: Fetcher) -> str:
        url = self.issuer.rstrip("/") + _DISCOVERY
        try:
            facts = json.loads(fetcher.fetch(url, MAX_BYTES).data)
        except (ValueError, RecursionError):
            raise FetchError(f"{url}: it is no JSON") from None
        if not isinstance(facts, dict) or facts.get("issuer") != self.issuer:
            raise FetchError(f"{url}: its issuer is not exactly {self.issuer}")
        uri = facts.get("jwks_uri")
        if not isinstance(uri, str) or not is_trustworthy(uri):
            raise FetchError(f"{url}: its jwks_uri is no https address")
        return uri


class IssuerKeys:
    """The keys of one issuer, kept.

    Concurrency: event loop only; one read is on its way at a time, whoever wants it.
    """

    def __init__(
        self,
        issuer_id: str,
        read: Callable[[], tuple[KeySet, float | None]],
        run: Run,
        report: FetchReport,
        *,
        keep_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`keep_s` is how long keys are used while the issuer cannot be read."""
        self._id = issuer_id
        self._read = read
        self._run = run
        self._report = report
        self._keep_s = keep_s
        self._clock = clock
        self._keys: KeySet | None = None
        self._fresh_until = float("-inf")
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._unknown_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._waiting = 0

    async def check(self, token: JwtText) -> None:
        """Hold the signature of a token against these keys.

        Raises: TOKEN_INVALID; ISSUER_UNAVAILABLE while no key is known.
        """
        keys = await self._now()
        if keys.verifies(token):
            return
        # An id that is known is believed; a signature under it that is false asks nothing of the issuer.
        believed = token.key_id is not None and keys.knows(token)
        if believed or not (await self._renewed(keys)).verifies(token):
            refuse(f"no key of issuer {self._id!r} signed it; get a new token")

    async def _now(self) -> KeySet:
        """The keys as they are known."""
        now = self._clock()
        if self._keys is None or now - self._read_at > self._keep_s:
            if now - self._tried_at >= RETRY_S or self._reading is not None:
                await self._fetch()
            if self._keys is None or self._clock() - self._read_at > self._keep_s:
                raise RegistryError(
                    Reason.ISSUER_UNAVAILABLE,
                    f"the keys of issuer {self._id!r} cannot be read now, so its tokens cannot be proven; "
                    "retry later, or come with a token of this registry",
                    retry_after_s=RETRY_S,
                    issuer=self._id,
                )
        elif now >= self._fresh_until and now - self._tried_at >= RETRY_S:
            # Nobody waits for it: what is known is good until `keep_s`.
            self._reading = self._start()
        return self._keys

    async def _renewed(self, keys: KeySet) -> KeySet:
        """The keys read again because a token has an id that is not among them, when that was not done just now."""
        now = self._clock()
        if self._reading is None:
            if now - self._unknown_at < UNKNOWN_KEY_S:
                return keys
            self._unknown_at = now
        await self._fetch()
        return self._keys or keys

    async def _fetch(self) -> None:
        """Wait for a read, where there is room to wait."""
        if self._waiting >= MAX_WAITING:
            return
        self._waiting += 1
        # Shielded: the caller who goes away is not the only one who waits. Bounded, because a thread may hang in a
        # name lookup, for which there is no timeout.
        try:
            await asyncio.wait_for(asyncio.shield(self._start()), 2 * TIMEOUT_S + 1)
        except TimeoutError:
            _LOG.warning("reading the keys of an issuer hangs", extra={"issuer": self._id})
        finally:
            self._waiting -= 1

    def _start(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._tried_at = self._clock()
            self._reading = asyncio.create_task(self._read_keys(), name=f"keys of {self._id}")
        return self._reading

    async def _read_keys(self) -> None:
        try:
            keys, max_age_s = await self._run(self._read)
        except (FetchError, RegistryError) as error:
            self._report.keys_fetched(ok=False)
            _LOG.warning("the keys of an issuer cannot be read", extra={"issuer": self._id, "error": str(error)})
            return
        finally:
            self._reading = None
        now = self._clock()
        self._keys, self._read_at = keys, now
        self._fresh_until = now + min(MAX_TTL_S, max(MIN_TTL_S, DEFAULT_TTL_S if max_age_s is None else max_age_s))
        self._report.keys_fetched(ok=True)
