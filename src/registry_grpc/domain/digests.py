"""Digests other programs must be able to compute again: manifest digest, artifact id, etag."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHA256 = re.compile(r"[0-9a-f]{64}")
MANIFEST_HEADER = b"registry-grpc manifest v1\n"


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """Identity of a sequence of bytes: SHA-256 as 64 lowercase hex characters, and the size in bytes."""

    sha256: str
    size_bytes: int


def is_sha256(text: str) -> bool:
    """Whether `text` is 64 lowercase hexadecimal characters."""
    return _SHA256.fullmatch(text) is not None


def manifest_digest(files: Iterable[tuple[str, Digest]]) -> str:
    """`sha256:` and the hex digest of the file list: what approvals, signatures and controllers pin.

    Source: the contract. SHA-256 over the header line, then `<sha256> <size> <path>` and a newline for each file,
    sorted by the UTF-8 bytes of the path. Media types do not count.
    """
    digest = hashlib.sha256(MANIFEST_HEADER)
    for path, content in sorted((path.encode(), content) for path, content in files):
        digest.update(b"%s %d %s\n" % (content.sha256.encode(), content.size_bytes, path))
    return f"sha256:{digest.hexdigest()}"


def artifact_id(path: str) -> str:
    """The id of the file at `path`: 26 lowercase base32 characters (130 bits) of the SHA-256 of its UTF-8 bytes."""
    return base64.b32encode(hashlib.sha256(path.encode()).digest())[:26].decode().lower()


def etag_of(uid: str, revision: int) -> str:
    """The etag of the resource `uid` at `revision`; another resource at the same revision has another one."""
    return hashlib.sha256(f"{uid} {revision}".encode()).hexdigest()[:16]
