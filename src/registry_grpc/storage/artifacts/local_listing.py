"""What lies in the directories of the local store, a page at a time."""

import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from registry_grpc.ports.artifacts import Listing, Stored
from registry_grpc.storage.artifacts.faults import is_key

NOTE, PUT = ".json", ".put"
_MAX_NOTE_BYTES = 64 * 1024


def objects(root: Path, after: str, limit: int) -> Listing:
    """Files below `root` by the parts of their path."""
    page: list[str] = []
    for key in _keys(root, (), tuple(after.split("/")) if after else ()):
        page.append(key)
        if len(page) == limit:
            break
    # One that is deleted meanwhile is left out.
    found = [stored for key in page if is_key(key) and (stored := _stored(root / key, key, "")) is not None]
    return Listing(found, page[-1] if len(page) == limit else "")


def unfinished(directory: Path, after: str, limit: int) -> Listing:
    """Multipart writes by their note, and what an interrupted `put` left."""
    names = sorted(path.name for path in directory.iterdir() if path.suffix in {NOTE, PUT} and path.name > after)[
        :limit
    ]
    found = [stored for name in names if (stored := _under_way(directory, name)) is not None]
    return Listing(found, names[-1] if len(names) == limit else "")


def _keys(root: Path, place: tuple[str, ...], after: tuple[str, ...]) -> Iterator[str]:
    with os.scandir(root.joinpath(*place)) as entries:
        named = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_directory in named:
        path = (*place, name)
        if is_directory:
            # All of it lies before the place when its name does.
            if path >= after[: len(path)]:
                yield from _keys(root, path, after)
        elif path > after:
            yield "/".join(path)


def _under_way(directory: Path, name: str) -> Stored | None:
    if name.endswith(PUT):
        # Its name begins with a hash of the key, which no row has.
        return _stored(directory / name, name.removesuffix(PUT), name)
    upload = name.removesuffix(NOTE)
    try:
        key = json.loads((directory / name).read_bytes()[:_MAX_NOTE_BYTES])["key"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        key = upload  # torn while it was written, so that nobody was given its name
    # The note may be older than what is written beside it.
    return _stored(directory / upload, key, upload) or _stored(directory / name, key, upload)


def _stored(path: Path, key: str, store_upload: str) -> Stored | None:
    try:
        state = path.lstat()
    except FileNotFoundError:
        return None
    age = timedelta(seconds=max(0.0, time.time() - state.st_mtime))
    return Stored(key, 0 if store_upload else state.st_size, age, store_upload)
