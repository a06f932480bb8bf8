"""Where a reader of the event log stands, in a form that notices a log that was rewound or replaced.

A token names the registry, its epoch, a revision and a fingerprint of what was committed as that revision. After a
restore from a backup, or a failover that lost its tail, other changes may stand under the same numbers: then the
fingerprint differs, and going on as if nothing had happened is refused.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import invalid_field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry_grpc.domain.events import Event

_FORM = struct.Struct(">B16sIQ8s")
_VERSION = 1
_PRINT_BYTES = 8
NO_PRINT = bytes(_PRINT_BYTES)
"""Of a revision that nothing is known of: the beginning, or one whose events were not read."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log of one registry."""

    registry_uid: str
    epoch: int
    revision: int
    fingerprint: bytes = NO_PRINT

    def __str__(self) -> str:
        """The token: opaque to whoever keeps it."""
        raw = _FORM.pack(_VERSION, uuid.UUID(self.registry_uid).bytes, self.epoch, self.revision, self.fingerprint)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str, field: str = "resume_token") -> Position:
        """Raises: INVALID_FIELD."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            version, uid, epoch, revision, fingerprint = _FORM.unpack(raw)
        except (ValueError, struct.error):
            version = 0
        if version != _VERSION:
            raise invalid_field(
                field, "is no token of this registry; send one as it came, or begin with none"
            ) from None
        return cls(str(uuid.UUID(bytes=uid)), epoch, revision, fingerprint)


def fingerprint_of(events: Iterable[Event]) -> bytes:
    """Of everything that was committed as one revision: 8 bytes of a SHA-256 over who did what to which, and when."""
    digest = hashlib.sha256()
    for event in events:
        micros = round(event.time.timestamp() * 1_000_000)
        fields = (str(event.index), event.action.value, type(event.after).__name__, event.actor, event.request_id)
        digest.update("\n".join((*fields, str(micros), "")).encode())
    return digest.digest()[:_PRINT_BYTES]
