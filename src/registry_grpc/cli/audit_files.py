"""Exports of the audit trail as files: JSON lines, an entry on each, the checkpoint on the last."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.audit import AuditEntry, LeafError, Recorded, first_difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from registry_grpc.domain.notes import Head, Verifier
    from registry_grpc.v1 import audit_pb2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def line_of(item: audit_pb2.AuditEntry | audit_pb2.Checkpoint) -> str:
    """One line of an export."""
    from registry_grpc.cli import output

    return json.dumps(output.plain(item), ensure_ascii=False, separators=(",", ":"))


class Export:
    """An export that is read line by line; `notes` is complete when the entries are used up."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.notes: list[str] = []

    def entries(self) -> Iterator[Recorded]:
        """The entries, in the order of the file.

        Raises: LeafError for a line that is none.
        """
        for number, line in enumerate(self._lines, 1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
                if "note" in values:
                    self.notes.append(str(values["note"]))
                    continue
                recorded = _recorded(values)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise LeafError(f"line {number} is no audit entry: {error}") from None
            yield recorded


def heads_of(notes: Sequence[str], verifiers: Sequence[Verifier]) -> list[Head]:
    """What the notes say, each signed by one of the keys.

    Raises: NoteError.
    """
    return [_opened(note, verifiers) for note in notes]


def verifier_of(text: str) -> Verifier:
    """A verifier key, given as it is or as the path of a file that holds it.

    Raises: NoteError, OSError.
    """
    from registry_grpc.domain.notes import Verifier

    is_key = text.count("+") >= 2 and not Path(text).exists()  # noqa: PLR2004 - name+id+key
    return Verifier.parse(text if is_key else Path(text).read_text(encoding="utf-8"))


def _opened(note: str, verifiers: Sequence[Verifier]) -> Head:
    from registry_grpc.domain.notes import NoteError

    refusals = []
    for verifier in verifiers:
        try:
            return verifier.open(note)
        except NoteError as error:
            refusals.append(str(error))
    raise NoteError("; ".join(refusals))


def _recorded(values: dict[str, Any]) -> Recorded:
    entry = AuditEntry(
        number=int(values.get("index", 0)) + 1,
        revision=int(values.get("revision", 0)),
        time=datetime.fromisoformat(values["time"]) if "time" in values else _EPOCH,
        actor=values.get("actor", ""),
        method=values.get("method", ""),
        resource=values.get("resource", ""),
        request_id=values.get("request_id", ""),
        outcome=values.get("outcome", ""),
        after=bytes.fromhex(values.get("after_sha256", "")),
        authentication=values.get("authentication", ""),
        peer=values.get("peer", ""),
        before=bytes.fromhex(values.get("before_sha256", "")),
        changes=values.get("changes", ""),
    )
    return Recorded(entry, base64.b64decode(values.get("leaf", ""), validate=True))


def difference_of(entry: audit_pb2.AuditEntry) -> str:
    """As `domain.audit.first_difference`, of a message with its leaf.

    Raises: LeafError.
    """
    (recorded,) = Export([line_of(entry)]).entries()
    return first_difference(recorded)
