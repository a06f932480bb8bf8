"""Digests and paths, computed again on this side: nothing the server says about bytes is taken on trust.

The rules are those of the server's domain, which the client may not import; `tests/conformance/manifests.yaml` holds
the two together.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.client.errors import IntegrityError, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable

MANIFEST_HEADER = b"registry-grpc manifest v1\n"
MAX_PATH_BYTES = 1024
MAX_PATH_SEGMENTS = 32
_RESERVED = {".", "..", ".git"}
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, order=True)
class FileDigest:
    """Path inside a version, SHA-256 as 64 lowercase hex characters, size in bytes."""

    path: str
    sha256: str
    size_bytes: int


def manifest_digest(files: Iterable[FileDigest]) -> str:
    """`sha256:` and the hex digest of the file list, sorted by the UTF-8 bytes of the path: what to pin."""
    digest = hashlib.sha256(MANIFEST_HEADER)
    for path, file in sorted((file.path.encode(), file) for file in files):
        digest.update(b"%s %d %s\n" % (file.sha256.encode(), file.size_bytes, path))
    return f"sha256:{digest.hexdigest()}"


def artifact_id(path: str) -> str:
    """Last segment of the resource name of the file at `path`: base32 of its SHA-256, 26 characters."""
    return base64.b32encode(hashlib.sha256(path.encode()).digest())[:26].decode().lower()


def path_fault(path: str) -> str:
    """What is wrong with `path` as a path inside a version; empty when nothing is.

    Source: the path rules of OpenSSF Model Signing, and Windows' reserved names.
    """
    if not path:
        return "must not be empty"
    if len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes of UTF-8"
    if any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in path):
        return "has a control, format or surrogate character"
    if "\\" in path or ":" in path:
        return "has a backslash or colon; use / between segments"
    segments = path.split("/")
    if len(segments) > MAX_PATH_SEGMENTS:
        return f"has more than {MAX_PATH_SEGMENTS} segments"
    return next(filter(None, map(_segment_fault, segments)), "")


def _segment_fault(segment: str) -> str:
    if not segment:
        return "is absolute, or has an empty segment"
    if segment.lower() in _RESERVED:
        return f"has the reserved segment {segment!r}"
    if segment.split(".", maxsplit=1)[0].lower() in _WINDOWS_DEVICES:
        return f"has the segment {segment!r}, a device on Windows"
    if segment[-1] in ". " or segment[0] == " ":
        return f"has a segment with a leading space or trailing dot or space: {segment!r}"
    return ""


def collision(paths: Iterable[str]) -> str:
    """Two of `paths` some file system takes for one, or for a file and a directory, as a sentence; else empty."""
    seen: dict[str, str] = {}
    for path in paths:
        folded = _folded(path)
        if folded in seen:
            return f"{path!r} and {seen[folded]!r} differ only by case or Unicode form"
        seen[folded] = path
    for folded, path in seen.items():
        segments = folded.split("/")
        for count in range(1, len(segments)):
            parent = "/".join(segments[:count])
            if parent in seen:
                return f"{path!r} and {seen[parent]!r}: one cannot be a directory and a file"
    return ""


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def check_local(paths: Iterable[str]) -> None:
    """Refuse to push paths that would not be the same files on another system.

    Raises: InvalidArgument.
    """
    paths = list(paths)
    for path in paths:
        if fault := path_fault(path):
            raise InvalidArgument(f"the file {path!r} {fault}; rename it and push again")
    if fault := collision(paths):
        raise InvalidArgument(f"{fault}; rename one and push again")


def check_served(files: Iterable[FileDigest]) -> None:
    """Refuse a file list from a server that could write outside its directory or hide a file behind another.

    Raises: IntegrityError.
    """
    files = list(files)
    for file in files:
        if fault := path_fault(file.path):
            raise IntegrityError(f"the server sent the path {file.path!r}, which {fault}; nothing was written")
        if not _SHA256.fullmatch(file.sha256) or file.size_bytes < 0:
            raise IntegrityError(f"the server sent no usable digest for {file.path!r}; nothing was written")
    if fault := collision(file.path for file in files):
        raise IntegrityError(f"the server sent paths that collide: {fault}; nothing was written")
