"""The bytes: copied by key, hashed on the way, never overwritten."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from _backup.manifest import Named
from registry_grpc.domain.artifacts import UploadPart, part_bytes_for
from registry_grpc.ports.artifacts import ArtifactStore, MissingObjectError

_AT_ONCE = 4
_SHOWN = 10


class DamagedError(Exception):
    """Bytes are missing, or are not those that were uploaded."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup has now."""

    objects: list[Named]
    new: int
    new_bytes: int


def copy_out(store: ArtifactStore, named: Iterable[Named], objects: Path) -> Copied:
    """Copy what `objects` does not have.

    Raises: DamagedError when the store gives others than the database names, after all that are good were copied.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(partial(_copy_one, store, objects), named))
    _require([fault for _, _, fault in outcomes if fault], "the backup is not finished")
    kept = [(each, is_new) for each, is_new, _ in outcomes if each is not None]
    new = [each.size_bytes for each, is_new in kept if is_new]
    return Copied([each for each, _ in kept], len(new), sum(new))


def _copy_one(store: ArtifactStore, objects: Path, each: Named) -> tuple[Named | None, bool, str]:
    """The object with its metadata, None when it cannot be had; whether it is new; what is wrong with that."""
    target = objects / each.key
    try:
        info = store.head(each.key)
        if info is None:
            return None, False, f"{each.key} is missing" if each.needed else ""
        whole = replace(each, metadata=dict(info.metadata))
        if target.is_file() and target.stat().st_size == each.size_bytes:
            return whole, False, ""
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.name}.new")
        found = hashlib.sha256()
        with temporary.open("wb") as file:
            for chunk in store.read(each.key, 0, each.size_bytes):
                found.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if found.hexdigest() != each.sha256:
            temporary.unlink()
            return None, False, f"{each.key} is altered" if each.needed else ""
        temporary.rename(target)
    except MissingObjectError:
        return None, False, f"{each.key} is missing" if each.needed else ""
    return whole, True, ""


def find_damage(named: Sequence[Named], objects: Path) -> None:
    """Hash all of it. Raises: DamagedError."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        faults = list(pool.map(partial(_fault, objects), named))
    _require([fault for fault in faults if fault], "the backup is not whole")


def _fault(objects: Path, each: Named) -> str:
    try:
        with (objects / each.key).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return f"{each.key} is missing"
    return "" if found == each.sha256 else f"{each.key} is altered"


def _require(faults: Sequence[str], what: str) -> None:
    if faults:
        more = f", and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise DamagedError(f"{what}: {'; '.join(faults[:_SHOWN])}{more}")


def copy_in(store: ArtifactStore, named: Sequence[Named], objects: Path) -> int:
    """Put what the store does not have; returns how many.

    Raises: DamagedError for an object of that key with another size.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return sum(pool.map(partial(_put, store, objects), named))


def _put(store: ArtifactStore, objects: Path, each: Named) -> bool:
    there = store.head(each.key)
    if there is not None:
        if there.size_bytes != each.size_bytes:
            raise DamagedError(f"the store has {each.key} already, with {there.size_bytes} bytes of {each.size_bytes}")
        return False
    path = objects / each.key
    step = part_bytes_for(each.size_bytes)
    if each.size_bytes <= step:
        store.put(each.key, [path.read_bytes()], each.size_bytes, each.metadata)
        return True
    upload = store.begin(each.key, each.metadata)
    parts = []
    for number, (offset, data) in enumerate(_pieces(path, step), 1):
        etag = store.put_part(each.key, upload, number, offset, [data], len(data))
        parts.append(UploadPart(number=number, size_bytes=len(data), etag=etag, block_digests=b""))
    store.complete(each.key, upload, parts)
    return True


def _pieces(path: Path, step: int) -> Iterator[tuple[int, bytes]]:
    offset = 0
    with path.open("rb") as file:
        while data := file.read(step):
            yield offset, data
            offset += len(data)
