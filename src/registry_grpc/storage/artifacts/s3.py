"""Artifact store in one bucket of an S3 server.

Uses only the public API of the `minio` package, and of S3 only what every server has: presigned
requests, multipart uploads, `If-None-Match: *`. A part is not hashed again: the registry hashes it.
The credentials need reading, writing and deleting objects, AbortMultipartUpload, ListBucket (without
which a missing object is refused instead of missing), and ListBucketMultipartUploads.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from urllib.parse import quote, urlsplit

import minio
import urllib3
from minio.credentials.credentials import Credentials

from registry_grpc.domain.artifacts import Bytes, UploadPart
from registry_grpc.ports.artifacts import Listing, MissingObjectError, ObjectInfo
from registry_grpc.storage.artifacts import s3_listing as listing
from registry_grpc.storage.artifacts import s3_replies as replies
from registry_grpc.storage.artifacts.faults import (
    CHUNK_BYTES,
    broken,
    check_key,
    check_metadata,
    check_parts,
    check_size,
    unavailable,
)
from registry_grpc.storage.artifacts.s3_http import Body, connection_pool
from registry_grpc.storage.artifacts.s3_requests import MAX_URL_TTL, Ask, SignedRequests

_SETTLING_S = (0.1, 0.3, 0.6, 1.0)
_PART_S = 60.0
_READ_S = 30.0
_COMPLETE_S = 300.0
"""Servers put the parts of a large object together before they answer."""
_PING_S = 1.5
_ONLY_NEW = {"If-None-Match": "*"}
_BEYOND_END = "InvalidRange"
_OTHER_PART = "InvalidPart"
_FINGERPRINT_CHARACTERS = 16
_NO_FINGERPRINT = "0" * _FINGERPRINT_CHARACTERS
"""Of an upload that was found in a list: good for dropping it."""


class S3ArtifactStore:
    """Objects named `<prefix><key>` in a bucket that exists (`ensure_bucket` for development)."""

    def __init__(  # noqa: PLR0913 -- one argument per setting
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        *,
        secure: bool,
        region: str,
        public_endpoint: str | None = None,
        prefix: str = "",
        connections: int = 16,
        ca_file: str | None = None,
    ) -> None:
        """`endpoint` is `host:port`. Nothing is sent before the first use.

        `public_endpoint` (`host:port`, or a URL to choose another scheme) is where clients reach the
        bucket; without it there are no signed URLs. `connections` is the number of transfer threads.
        """
        self._bucket = bucket
        self._prefix = prefix
        pool = connection_pool(connections, ca_file)

        def client(place: str, *, encrypted: bool) -> minio.Minio:
            return minio.Minio(
                endpoint=place,
                access_key=access_key,
                secret_key=secret_key,
                secure=encrypted,
                region=region,  # given, so that signing never asks the server for it
                http_client=pool,
            )

        self._client = client(endpoint, encrypted=secure)
        self._requests = SignedRequests(
            self._client,
            pool,
            bucket,
            prefix,
            region=region,
            credentials=Credentials(access_key, secret_key),
        )
        self._public: minio.Minio | None = None
        if public_endpoint:
            parts = urlsplit(public_endpoint if "//" in public_endpoint else f"//{public_endpoint}")
            encrypted = parts.scheme == "https" if parts.scheme else secure
            self._public = client(parts.netloc, encrypted=encrypted)

    def begin(self, key: str, metadata: Mapping[str, str]) -> str:
        """Create a multipart upload; its id carries a fingerprint of the metadata for `complete`."""
        check_metadata(metadata)
        query = {"uploads": "", **replies.metadata_query(metadata)}
        reply = self._requests.done(Ask("POST", key, query))
        upload = replies.text_of(replies.parse(reply.body), "UploadId")
        if not upload:
            raise unavailable("the object store sent a reply that is not S3")
        return f"{_fingerprint(metadata)}.{upload}"

    def put_part(
        self,
        key: str,
        store_upload: str,
        number: int,
        offset: int,  # noqa: ARG002 -- S3 places parts by their number
        chunks: Sequence[Bytes],
        size_bytes: int,
    ) -> str:
        """Send a part, again while the store is busy."""
        check_size(chunks, size_bytes)
        _, upload = _split(store_upload)
        query = {"partNumber": str(number), "uploadId": upload}
        ask = Ask("PUT", key, query, {}, chunks, size_bytes, _PART_S)
        return self._requests.done(ask).headers.get("ETag", "").strip('"')

    def complete(self, key: str, store_upload: str, parts: Sequence[UploadPart]) -> None:
        """Put the parts together. A refusal may mean that an earlier attempt did it, so look."""
        size_bytes = check_parts(parts)
        fingerprint, upload = _split(store_upload)
        body = replies.completion(parts)
        ask = Ask("POST", key, {"uploadId": upload}, _ONLY_NEW, (body,), len(body), _COMPLETE_S)
        reply = self._requests.ask(ask)
        code = replies.code_of(reply)
        if replies.is_taken(code) or replies.is_gone(code):
            self._expect(key, size_bytes, fingerprint)
        elif code == _OTHER_PART:
            # A writer that had been superseded replaced a part: those recorded are gone.
            raise MissingObjectError
        elif code:
            raise replies.failure(reply)

    def abort(self, key: str, store_upload: str) -> None:
        """Drop the multipart upload."""
        _, upload = _split(store_upload)
        self._remove(key, {"uploadId": upload})

    def sweep(self, key: str) -> None:
        """Drop the multipart uploads of the key. A `put` leaves nothing unfinished in S3."""
        for upload in self._requests.uploads(key):
            self._remove(key, {"uploadId": upload})

    def put(self, key: str, chunks: Sequence[Bytes], size_bytes: int, metadata: Mapping[str, str]) -> None:
        """Store a small object by one request."""
        check_metadata(metadata)
        check_size(chunks, size_bytes)
        query = replies.metadata_query(metadata)
        reply = self._requests.ask(Ask("PUT", key, query, _ONLY_NEW, chunks, size_bytes, _PART_S))
        code = replies.code_of(reply)
        if replies.is_taken(code):
            self._expect(key, size_bytes, _fingerprint(metadata))
        elif code:
            raise replies.failure(reply)

    def head(self, key: str) -> ObjectInfo | None:
        """Size and metadata of the object."""
        reply = self._requests.ask(Ask("HEAD", key))
        code = replies.code_of(reply)
        if replies.is_gone(code):
            return None
        if code:
            raise replies.failure(reply)
        size_bytes = int(reply.headers.get("Content-Length", "0"))
        return ObjectInfo(size_bytes, replies.metadata_of(reply.headers))

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """The bytes of the range that exist; fewer than asked for when the object ends before."""
        if length <= 0:
            if self.head(key) is None:
                raise MissingObjectError
            return
        span = {"Range": f"bytes={offset}-{offset + length - 1}"}
        body = self._requests.open(Ask("GET", key, headers=span, read_timeout_s=_READ_S))
        if isinstance(body, Body):
            yield from _chunks(body)
        elif replies.code_of(body) != _BEYOND_END:
            raise replies.failure(body)

    def delete(self, key: str) -> None:
        """Remove the object. S3 says the same whether it was there or not."""
        self._remove(key, {})

    def list_objects(self, after: str, limit: int) -> Listing:
        """At most a hundred: a reply is bounded."""
        reply = self._requests.of_bucket(listing.objects_query(self._prefix, after, limit))
        return listing.objects_of(reply, self._prefix)

    def list_unfinished(self, after: str, limit: int) -> Listing:
        """Multipart uploads, where the server lists them without their key."""
        reply = self._requests.of_bucket(listing.uploads_query(self._prefix, after, limit))
        return listing.uploads_of(reply, self._prefix, _NO_FINGERPRINT)

    def sign_get(self, key: str, ttl: timedelta, filename: str) -> str | None:
        """A URL at the public endpoint, for 15 minutes at most; None when there is no such endpoint."""
        check_key(key)
        if self._public is None:
            return None
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in filename)
        encoded = quote(filename, safe="", errors="replace")
        disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
        return self._public.get_presigned_url(
            method="GET",
            bucket_name=self._bucket,
            object_name=self._prefix + key,
            expires=max(timedelta(seconds=1), min(ttl, MAX_URL_TTL)),
            response_headers={"response-content-disposition": disposition},
        )

    def ping(self) -> None:
        """Ask for an object that is not there; by GET, since the reply to HEAD has no error code."""
        reply = self._requests.ask(Ask("GET", "ping", read_timeout_s=_PING_S, tries=2))
        code = replies.code_of(reply)
        if code and not replies.is_gone(code):
            raise replies.failure(reply)

    def ensure_bucket(self) -> None:
        """Create the bucket where it is missing: for the embedded default and for development."""
        code: str | None = None
        try:
            if not self._client.bucket_exists(bucket_name=self._bucket):
                self._client.make_bucket(bucket_name=self._bucket)
            return
        except minio.error.S3Error as error:
            code = error.code
        except (urllib3.exceptions.HTTPError, minio.error.MinioException, OSError):
            pass
        if code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise unavailable(f"the bucket cannot be made ({code or 'no answer'})", store_code=code)

    def _remove(self, key: str, query: Mapping[str, str]) -> None:
        reply = self._requests.ask(Ask("DELETE", key, query))
        code = replies.code_of(reply)
        if code and not replies.is_gone(code):
            raise replies.failure(reply)

    def _expect(self, key: str, size_bytes: int, fingerprint: str) -> None:
        found = self.head(key)
        for pause_s in _SETTLING_S:
            if found is not None:
                break
            # An attempt whose caller was killed may still be at work in the store: its upload is gone already, its
            # object is not there yet.
            time.sleep(pause_s)
            found = self.head(key)
        if found is None:
            raise MissingObjectError
        if found.size_bytes != size_bytes or _fingerprint(found.metadata) != fingerprint:
            raise broken("another object has this key already")


def _chunks(body: Body) -> Iterator[bytes]:
    is_read = is_cut = False
    try:
        while chunk := body.read(CHUNK_BYTES):
            yield chunk
        is_read = True
    except OSError:
        is_cut = True
    finally:
        body.close(is_read=is_read)
    if is_cut:
        raise unavailable("the object store stopped in the middle of an object")


def _fingerprint(metadata: Mapping[str, str]) -> str:
    stable = json.dumps(dict(metadata), sort_keys=True).encode()
    return hashlib.sha256(stable).hexdigest()[:_FINGERPRINT_CHARACTERS]


def _split(store_upload: str) -> tuple[str, str]:
    fingerprint, _, upload = store_upload.partition(".")
    if len(fingerprint) != _FINGERPRINT_CHARACTERS or not upload:
        raise broken("malformed upload id")
    return fingerprint, upload
