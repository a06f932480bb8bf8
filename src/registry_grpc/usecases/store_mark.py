"""Whose the artifact store is: an object in it names the database, and nothing is deleted while it names another one.

A wrong address, or a database that was put back from a backup, must never empty a bucket. Reads and uploads go on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.garbage import MARKER_KEY, may_be_ours
from registry_grpc.ports.artifacts import MissingObjectError

if TYPE_CHECKING:
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.store import Store

_MAX_BYTES = 1024
_PAGE = 100
_UID = re.compile(r"[0-9a-f-]{36}")
NO_MARK = "no mark, though this database left one there"
FOREIGN = "no mark, and files this database does not know"


@dataclass(frozen=True, slots=True)
class StoreMark:
    """The mark of one database in one artifact store."""

    store: Store
    artifacts: ArtifactStore

    def require(self, *, leave: bool) -> None:
        """Return when what lies in the store may be deleted. With `leave` a store without a mark gets one.

        Raises: GARBAGE_FROZEN, STORAGE_UNAVAILABLE.
        """
        mine, is_remembered = self._mine()
        found = self._read()
        if found is not None and found != mine:
            raise _frozen(_named(found))
        if found is None and is_remembered:
            raise _frozen(NO_MARK)
        if found is None and self._is_strange():
            raise _frozen(FOREIGN)
        if leave and found is None:
            self._leave(mine)
        if leave and not is_remembered:
            self._remember()

    def adopt(self) -> None:
        """Replace whatever mark there is by that of this database.

        Raises: GARBAGE_FROZEN when another database does the same at this moment; STORAGE_UNAVAILABLE.
        """
        mine, _ = self._mine()
        if self._read() != mine:
            # Killed between the two: the mark is missing, which freezes until this is repeated.
            self._remember()
            self.artifacts.delete(MARKER_KEY)
            self._leave(mine)
        self._remember()

    def _mine(self) -> tuple[bytes, bool]:
        epoch, is_remembered = self.store.read(lambda reader: (reader.feed.epoch(), reader.garbage.is_marked()))
        said = {"registry": self.store.registry_uid, "epoch": epoch}
        return json.dumps(said, sort_keys=True).encode(), is_remembered

    def _read(self) -> bytes | None:
        try:
            return b"".join(self.artifacts.read(MARKER_KEY, 0, _MAX_BYTES))
        except MissingObjectError:
            return None

    def _leave(self, mine: bytes) -> None:
        self.artifacts.put(MARKER_KEY, [mine], len(mine), {"kind": "mark"})
        # Another database may have been faster, with a mark of the same length.
        found = self._read()
        if found != mine:
            raise _frozen(NO_MARK if found is None else _named(found))

    def _remember(self) -> None:
        self.store.write(lambda unit: unit.garbage.mark())

    def _is_strange(self) -> bool:
        """Whether there are files and none of the first ones is known: a fresh database at the store of another."""
        keys = {each.key for each in self.artifacts.list_objects("", _PAGE).found if may_be_ours(each.key)}
        return bool(keys) and not self.store.read(lambda reader: reader.garbage.known(keys))


def _named(mark: bytes) -> str:
    try:
        said = json.loads(mark)
        uid, epoch = str(said["registry"]), int(said["epoch"])
    except (ValueError, KeyError, TypeError):
        uid, epoch = "", 0
    return f"the mark of registry {uid}, epoch {epoch}" if _UID.fullmatch(uid) else "a mark nobody can read"


def _frozen(found: str) -> RegistryError:
    return RegistryError(
        Reason.GARBAGE_FROZEN,
        f"nothing is deleted from the artifact store: it holds {found}; check the addresses of database and store, and "
        "when no other registry uses the store, adopt it (mreg gc --execute --adopt-store)",
        found=found,
    )
