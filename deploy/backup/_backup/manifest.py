"""What a backup consists of: a file beside its dump. Without it there is no backup."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "manifest.json"
_FORM = 1


@dataclass(frozen=True, slots=True)
class Named:
    """Bytes that a row of the database names."""

    key: str
    sha256: str
    size_bytes: int
    metadata: dict[str, str]
    """What the store keeps beside them."""
    needed: bool = True
    """Whether they must be there: not what waits for its removal, nor what the registry itself has found damaged."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup."""

    kind: str
    """Of the database: `sqlite` or `postgresql`."""
    schema: str
    objects: tuple[Named, ...]


def write(made: Path, manifest: Manifest) -> None:
    """Finish a backup: on disk when this returns."""
    temporary = made / f"{NAME}.new"
    with temporary.open("w") as file:
        json.dump({"form": _FORM, **asdict(manifest)}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(made / NAME)


def read(made: Path) -> Manifest:
    """The manifest of a backup.

    Raises: OSError; ValueError for one of another program.
    """
    said = json.loads((made / NAME).read_text())
    if said.pop("form", None) != _FORM:
        raise ValueError(f"{made / NAME} is of another version of mreg-backup")
    return Manifest(said["kind"], said["schema"], tuple(Named(**each) for each in said["objects"]))


def newest(directory: Path) -> str:
    """The time of the newest backup that was finished.

    Raises: ValueError.
    """
    found = sorted(path.parent.name for path in directory.glob(f"*/{NAME}"))
    if not found:
        raise ValueError(f"there is no backup in {directory}")
    return found[-1]
