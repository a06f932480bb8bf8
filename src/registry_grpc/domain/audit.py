"""The audit trail: what an entry says, and its leaf, which nobody can quietly edit. The layout is in docs/audit.md."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

FIRST_LEAF, LEAF_VERSION = 1, 2
"""Entries of the first version have no authentication, peer, before and changes."""
APPLIED = "applied"
REFUSED = "refused"
"""In a filter: every outcome but `applied`."""
MAX_CHANGES_BYTES = 16 * 1024
MAX_TEXT_CHARS = 1024
_HEAD = struct.Struct(">Bqqq")
_LENGTH = struct.Struct(">I")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class LeafError(ValueError):
    """Bytes are no leaf."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit trail: who did what to which resource, and what came of it."""

    number: int
    """Counted from 1, dense: one above the index in the tree."""
    revision: int
    """0 for a denied or failed call: those take no revision."""
    time: datetime
    actor: str
    method: str
    resource: str
    request_id: str
    outcome: str
    """`applied`, or the reason it was refused."""
    after: bytes
    """SHA-256 of the event payloads of the transaction, in order; empty when there are none."""
    authentication: str = ""
    """How the caller was proven."""
    peer: str = ""
    """Address the call came from."""
    before: bytes = b""
    """SHA-256 of the same resources as they were before; empty when there were none or nobody read them."""
    changes: str = ""
    """What changed, as JSON. The leaf has its SHA-256."""

    @property
    def index(self) -> int:
        """Place in the tree, from 0."""
        return self.number - 1

    def leaf(self, version: int = LEAF_VERSION) -> bytes:
        """Canonical bytes of the entry, the same on every engine and in every language.

        A version byte; number, revision and microseconds since the epoch (UTC) as 8-byte big-endian signed integers;
        then, each after its length in 4 bytes: actor, method, resource, request id, outcome (UTF-8) and after; since
        version 2 also authentication, peer (UTF-8), before, and the SHA-256 of changes (empty when there are none).
        """
        texts = (self.actor, self.method, self.resource, self.request_id, self.outcome)
        fields = [*(text.encode() for text in texts), self.after]
        if version > FIRST_LEAF:
            fields += [self.authentication.encode(), self.peer.encode(), self.before, _changes_hash(self.changes)]
        micros = (self.time - _EPOCH) // _MICROSECOND
        head = _HEAD.pack(version, self.number, self.revision, micros)
        return head + b"".join(_LENGTH.pack(len(field)) + field for field in fields)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry as it is kept, with its leaf."""

    entry: AuditEntry
    leaf: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A head that was signed."""

    size: int
    root: bytes
    note: str
    time: datetime


def parse_leaf(leaf: bytes) -> tuple[AuditEntry, bytes]:
    """The entry in a leaf, without its changes, and the SHA-256 of those.

    Raises: LeafError.
    """
    try:
        version, number, revision, micros = _HEAD.unpack_from(leaf)
        fields, at = [], _HEAD.size
        while at < len(leaf):
            (length,) = _LENGTH.unpack_from(leaf, at)
            at += _LENGTH.size + length
            if at > len(leaf):
                raise LeafError("the leaf is cut short")
            fields.append(leaf[at - length : at])
        actor, method, resource, request_id, outcome = (field.decode() for field in fields[:5])
        entry = AuditEntry(
            number=number,
            revision=revision,
            time=_EPOCH + micros * _MICROSECOND,
            actor=actor,
            method=method,
            resource=resource,
            request_id=request_id,
            outcome=outcome,
            after=fields[5],
        )
        if version == FIRST_LEAF and len(fields) == 6:  # noqa: PLR2004 - of the first version
            return entry, b""
        if version == LEAF_VERSION:
            how, peer, before, changes = fields[6:]
            return replace(entry, authentication=how.decode(), peer=peer.decode(), before=before), changes
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise LeafError(f"the leaf cannot be read: {error}") from None
    raise LeafError(f"the leaf is of version {version}, which this program does not know")


def first_difference(recorded: Recorded) -> str:
    """The first field of an entry that its leaf does not bear out, and how; empty when every one fits."""
    try:
        sealed, changes = parse_leaf(recorded.leaf)
    except LeafError as error:
        return f"leaf: {error}"
    entry = recorded.entry
    for field in AuditEntry.__slots__:
        if field != "changes" and getattr(entry, field) != getattr(sealed, field):
            return f"{field} is {_shown(getattr(entry, field))}; its leaf says {_shown(getattr(sealed, field))}"
    if _changes_hash(entry.changes) != changes:
        return "changes is not what its leaf has the SHA-256 of"
    return ""


def bounded(text: str) -> str:
    """A text of a caller as it may stand in an entry: no longer than `MAX_TEXT_CHARS`, without U+0000."""
    return text.replace("\x00", "�")[:MAX_TEXT_CHARS]


def _changes_hash(changes: str) -> bytes:
    return hashlib.sha256(changes.encode()).digest() if changes else b""


def _shown(value: object) -> str:
    return value.hex() or "empty" if isinstance(value, bytes) else repr(value)
