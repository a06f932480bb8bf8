"""The errors of artifact stores, and the checks of what a store is handed.

Messages name what went wrong and what to do, never a key, a path or a URL.
"""

import re
from collections.abc import Mapping, Sequence

from registry_grpc.domain.artifacts import MIB, Bytes, UploadPart
from registry_grpc.domain.errors import Reason, RegistryError

CHUNK_BYTES = MIB
"""Reads are handed out in chunks of at most this size."""
RETRY_AFTER_S = 1.0
_KEY = re.compile(r"[a-z0-9]+(?:/[a-z0-9]+)*")
_MAX_KEY = 128
_METADATA_KEY = re.compile(r"[a-z0-9-]{1,64}")
_METADATA_VALUE = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?")


def unavailable(what: str, *, store_code: str | None = None) -> RegistryError:
    """The store did not answer, or cannot be used as it is."""
    return RegistryError(
        Reason.STORAGE_UNAVAILABLE,
        f"artifact storage: {what}",
        retry_after_s=RETRY_AFTER_S,
        store_code=store_code,
    )


def storage_full(*, store_code: str | None = None) -> RegistryError:
    """The store has no room; what is there stays readable."""
    return RegistryError(
        Reason.QUOTA_EXCEEDED,
        "storage full: free space in the artifact store, then resume the upload",
        store_code=store_code,
    )


def broken(what: str, *, store_code: str | None = None) -> RegistryError:
    """A rule of the port was broken, by the registry or by the store."""
    return RegistryError(Reason.INTERNAL, f"artifact storage: {what}", store_code=store_code)


def corrupt(artifact: str, what: str) -> RegistryError:
    """Stored bytes are not those that were committed."""
    return RegistryError(
        Reason.ARTIFACT_CORRUPT,
        f"stored bytes of {artifact} are damaged: {what}; restore them from a backup",
        artifact=artifact,
    )


def is_key(key: str) -> bool:
    """Whether a key is inside the grammar."""
    return len(key) <= _MAX_KEY and _KEY.fullmatch(key) is not None


def check_key(key: str) -> None:
    """Refuse a key outside the grammar: the server makes keys, so this is never a caller's fault."""
    if not is_key(key):
        raise broken("malformed object key")


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuse metadata that some S3 server would change: only trimmed printable ASCII survives all."""
    for name, value in metadata.items():
        if not _METADATA_KEY.fullmatch(name) or not _METADATA_VALUE.fullmatch(value):
            raise broken(f"malformed object metadata {name!r}")


def check_size(chunks: Sequence[Bytes], size_bytes: int) -> None:
    """Refuse chunks that do not add up: the store would wait for the rest, or store a torn object."""
    # A slice: going over the chunks themselves may take its time.
    if sum(map(len, chunks[:])) != size_bytes:
        raise broken("chunks do not add up to the stated size")


def check_parts(parts: Sequence[UploadPart]) -> int:
    """The size of the whole; refuses parts that are not numbered 1, 2, 3 …."""
    if not parts or [part.number for part in parts] != list(range(1, len(parts) + 1)):
        raise broken("parts must be numbered 1, 2, 3 … without gaps")
    return sum(part.size_bytes for part in parts)
