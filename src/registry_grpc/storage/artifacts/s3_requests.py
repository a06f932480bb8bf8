"""Signed requests to one bucket, asked again while the store is merely busy."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import minio
import urllib3
from minio.credentials.credentials import Credentials
from minio.signer import presign_v4

from registry_grpc.domain.artifacts import Bytes
from registry_grpc.storage.artifacts import s3_replies as replies
from registry_grpc.storage.artifacts.faults import check_key
from registry_grpc.storage.artifacts.s3_http import Body, NoAnswer, Reply, Request, send

TRIES = 5
MAX_URL_TTL = timedelta(minutes=15)
_FIRST_PAUSE_S = 0.05
_ANY = "any"
"""Stands for a key where the question is about the bucket."""
_PATIENCE_S = 0.7
"""A store that cannot be reached is asked again only this long, so that callers hear of it at once."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What to ask of a key; the query carries the operation and the metadata."""

    method: str
    key: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Sequence[Bytes] = ()
    size_bytes: int = 0
    read_timeout_s: float = 5.0
    tries: int = TRIES


class SignedRequests:
    """Presigns by the public API of the `minio` package and sends by `pool`."""

    def __init__(
        self,
        signer: minio.Minio,
        pool: urllib3.PoolManager,
        bucket: str,
        prefix: str,
        *,
        region: str,
        credentials: Credentials,
    ) -> None:
        """Keys are put behind `prefix` in `bucket`; `signer` signs with the same region and credentials."""
        self._signer = signer
        self._region = region
        self._credentials = credentials
        self._pool = pool
        self._bucket = bucket
        self._prefix = prefix

    def ask(self, ask: Ask) -> Reply:
        """The reply, whatever it says.

        Raises: STORAGE_UNAVAILABLE when there is none, or the store is busy at the last try too.
        """
        answer = self._answer(ask, streams=False)
        assert isinstance(answer, Reply)  # noqa: S101 -- for the type checker
        return answer

    def done(self, ask: Ask) -> Reply:
        """The reply of a request that succeeded.

        Raises: MissingObjectError, STORAGE_UNAVAILABLE, or the error of the refusal.
        """
        reply = self.ask(ask)
        if replies.code_of(reply):
            raise replies.failure(reply)
        return reply

    def uploads(self, key: str) -> Sequence[str]:
        """Ids of the multipart uploads of a key, at most a thousand.

        Raises: STORAGE_UNAVAILABLE, or the error of the refusal.
        """
        reply = self.of_bucket({"uploads": "", "prefix": self._prefix + key})
        return replies.upload_ids(reply.body, self._prefix + key)

    def of_bucket(self, query: Mapping[str, str]) -> Reply:
        """The reply to a question about the bucket.

        Raises: STORAGE_UNAVAILABLE, or the error of the refusal.
        """
        reply = self._answer(Ask("GET", _ANY, query), streams=False, of_bucket=True)
        assert isinstance(reply, Reply)  # noqa: S101 -- for the type checker
        if replies.code_of(reply):
            raise replies.failure(reply)
        return reply

    def open(self, ask: Ask) -> Body | Reply:
        """A body, to be read and closed by the caller, or the reply that refused it.

        Raises: STORAGE_UNAVAILABLE.
        """
        return self._answer(ask, streams=True)

    def _answer(self, ask: Ask, *, streams: bool, of_bucket: bool = False) -> Body | Reply:
        check_key(ask.key)
        started = time.monotonic()
        pause_s = _FIRST_PAUSE_S
        for left in reversed(range(ask.tries)):
            answer = send(self._pool, self._sign(ask, of_bucket=of_bucket), streams=streams)
            if not left or not _is_worth_another(answer, time.monotonic() - started):
                break
            time.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 -- spreads callers out
            pause_s *= 2
        if isinstance(answer, NoAnswer) or (isinstance(answer, Reply) and replies.may_pass(answer)):
            raise replies.failure(answer)
        return answer

    def _sign(self, ask: Ask, *, of_bucket: bool) -> Request:
        # Signed anew for each try: a signature is good for a while only.
        url = self._signer.get_presigned_url(
            method=ask.method,
            bucket_name=self._bucket,
            object_name=self._prefix + ask.key,
            expires=MAX_URL_TTL,
            extra_query_params={} if of_bucket else dict(ask.query),
        )
        if of_bucket:
            url = self._of_bucket(url, ask)
        return Request(ask.method, url, ask.read_timeout_s, ask.chunks, ask.size_bytes, ask.headers)

    def _of_bucket(self, url: str, ask: Ask) -> str:
        """The URL of a question about the bucket. The client signs only those about an object, so take its address."""
        parts = urlsplit(url)
        path = parts.path.removesuffix("/" + quote(self._prefix + ask.key)) or "/"
        signed = presign_v4(
            method=ask.method,
            url=parts._replace(path=path, query=urlencode(ask.query, quote_via=quote)),
            region=self._region,
            credentials=self._credentials,
            date=datetime.now(UTC),
            expires=int(MAX_URL_TTL.total_seconds()),
        )
        return urlunsplit(signed)


def _is_worth_another(answer: Body | Reply | NoAnswer, elapsed_s: float) -> bool:
    if isinstance(answer, NoAnswer):
        return elapsed_s < _PATIENCE_S
    return isinstance(answer, Reply) and replies.may_pass(answer)
