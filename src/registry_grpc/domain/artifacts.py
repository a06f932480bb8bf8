"""Files, stored bytes and uploads, and the rules for the paths of files."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from registry_grpc.domain.digests import Digest, artifact_id
from registry_grpc.domain.errors import invalid_field, shortened
from registry_grpc.domain.names import UploadName, VersionName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MIB = 1 << 20
Bytes: TypeAlias = bytes | memoryview
"""Of a file on its way. A view is of the message the bytes came in: nobody copied them."""
DEFAULT_MEDIA_TYPE = "application/octet-stream"
BLOCK_BYTES = 16 * MIB
"""Reads are verified by the BLAKE3 digests of blocks of this size, whatever the part size was."""
MAX_PARTS = 9_600
"""Parts of one object; below the 10,000 of S3."""
MAX_ARTIFACT_BYTES = 5 << 40
MAX_PATH_BYTES = 1024
MAX_PATH_SEGMENTS = 32
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_RESERVED = {".", "..", ".git"}
_WINDOWS_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10)),
}


class UploadState(StrEnum):
    """State of an upload."""

    ACTIVE = "active"
    FINALIZING = "finalizing"
    COMMITTED = "committed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class BlobState(StrEnum):
    """State of stored bytes. Only LIVE ones may be given to a file, and only LIVE and DAMAGED ones may be read."""

    LIVE = "live"
    DAMAGED = "damaged"
    """Found bad by the scrubber. Reads verify as ever; the next upload of the same bytes takes its files over."""
    CONDEMNED = "condemned"
    DELETING = "deleting"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes held for one project. The key is made by the server and never reused."""

    uid: str
    project: str
    digest: Digest
    key: str
    block_digests: bytes
    """BLAKE3 digest of each block of `BLOCK_BYTES`, 32 bytes each, in order; the last block may be short."""
    state: BlobState = BlobState.LIVE
    create_time: datetime
    lease_until: datetime | None = None
    """Not collected before; set when a caller was told that the bytes are here."""
    check_time: datetime | None = None
    """When the scrubber last hashed the whole of it; None before the first time."""
    damage: str = ""
    """Why it is DAMAGED."""
    damage_time: datetime | None = None
    condemned_at: datetime | None = None
    """Since when it is CONDEMNED or DELETING: its grace counts from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of a version."""

    version: VersionName
    version_uid: str
    path: str
    blob_uid: str
    digest: Digest
    media_type: str
    create_time: datetime
    revision: int

    @property
    def id(self) -> str:
        """Last segment of its resource name; follows from the path."""
        return artifact_id(self.path)

    @property
    def name(self) -> str:
        """Resource name."""
        return f"{self.version}/artifacts/{self.id}"

    @property
    def etag(self) -> str:
        """Changes when the file is replaced."""
        return f"{self.digest.sha256[:16]}-{self.revision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file on its way into a draft."""

    name: UploadName
    version: VersionName
    version_uid: str
    path: str
    size_bytes: int
    sha256: str
    """Declared at start; empty when it was not."""
    media_type: str
    state: UploadState
    epoch: int
    """Rises when a writer takes the upload over; writers of an older epoch are refused."""
    key: str
    store_upload: str
    """Id of the multipart upload in the store; empty until it was begun."""
    part_bytes: int
    persisted_size: int
    creator: str
    writers: tuple[str, ...] = ()
    """Others who sent bytes of it."""
    create_time: datetime
    expire_time: datetime
    artifact_etag: str = ""
    """Etag the file at the path must have when the upload commits; empty means any."""
    sealed_until: datetime | None = None
    """While FINALIZING: until then whoever completes it is taken to be alive, and nobody may take it over."""
    deduplicated: bool = False
    failure: str = ""
    dropped: bool = False
    """It ended without a file, and nothing of it is left in the store."""
    artifact: Artifact | None = None
    """Set once COMMITTED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPart:
    """A part of an upload that the store has acknowledged."""

    number: int
    """1 upwards, dense."""
    size_bytes: int
    etag: str
    block_digests: bytes


def part_bytes_for(size_bytes: int) -> int:
    """Part size for a file of `size_bytes`: 16 MiB, growing by whole blocks where that would be too many parts."""
    blocks = -(-size_bytes // (MAX_PARTS * BLOCK_BYTES))
    return BLOCK_BYTES * max(1, blocks)


def check_path(path: str, field: str = "path") -> None:
    """Refuse a path that is unsafe, or not the same file, on some other system.

    Source: the path rules of OpenSSF Model Signing, and Windows' reserved names.

    Raises: INVALID_FIELD.
    """
    segments = path.split("/")
    complaint = next(
        (why for refused, why in _path_rules(path, segments) if refused),
        next((why for segment in segments for refused, why in _segment_rules(segment) if refused), None),
    )
    if complaint:
        raise invalid_field(field, f"{shortened(path)!r} {complaint}")


def _path_rules(path: str, segments: list[str]) -> Iterator[tuple[bool, str]]:
    size = len(path.encode("utf-8", "surrogatepass"))
    yield not path, "must not be empty"
    yield size > MAX_PATH_BYTES, f"is longer than {MAX_PATH_BYTES} bytes of UTF-8"
    yield any(unicodedata.category(char) in _UNSEEN for char in path), "has a control, format or surrogate character"
    yield "\\" in path or ":" in path, "has a backslash or colon; use / between segments"
    yield len(segments) > MAX_PATH_SEGMENTS, f"has more than {MAX_PATH_SEGMENTS} segments"


def _segment_rules(segment: str) -> Iterator[tuple[bool, str]]:
    stem = segment.split(".", maxsplit=1)[0].lower()
    yield not segment, "is absolute, or has an empty segment"
    yield segment.lower() in _RESERVED, f"has the reserved segment {segment!r}"
    yield stem in _WINDOWS_DEVICES, f"has the segment {segment!r}, a device on Windows"
    yield segment[-1:] in {".", " "}, f"has the segment {segment!r}, which ends in a dot or space"
    yield segment[:1] == " ", f"has the segment {segment!r}, which begins with a space"


def folded(path: str) -> str:
    """What two paths share when some file system takes them for one: NFC, case folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


class TakenPaths:
    """The files of a version, ready to tell at once whether another path collides with one of them."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        """Holds `paths`, whatever they are."""
        self._files: dict[str, set[str]] = {}
        self._directories: dict[str, str] = {}
        for path in paths:
            self.add(path)

    def add(self, path: str) -> None:
        """Hold one more."""
        place = folded(path)
        self._files.setdefault(place, set()).add(path)
        for directory in _above(place):
            self._directories.setdefault(directory, path)

    def check(self, path: str, field: str = "path") -> None:
        """Refuse a path that collides with another file on some file system.

        Raises: INVALID_FIELD.
        """
        wanted = folded(path)
        for other in self._files.get(wanted, ()):
            if other != path:
                raise invalid_field(field, f"{path!r} and the file {other!r} differ only by case or Unicode form")
        below = self._directories.get(wanted)
        files = [below] if below else (file for place in _above(wanted) for file in self._files.get(place, ()))
        for other in files:
            raise invalid_field(field, f"{path!r} and the file {other!r}: one cannot be a directory and a file")


def _above(place: str) -> Iterator[str]:
    """The directories a path lies in."""
    while place := place.rpartition("/")[0]:
        yield place
