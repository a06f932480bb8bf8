"""Page sizes and page tokens.

A token carries the sort key of the last item and is bound by a MAC to registry, method, parent, query and principal:
one of another query is refused, never misread.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
_MAC_BYTES = 16
Key = str | int
"""One column of a sort key."""


def page_size(wanted: int, most: int = MAX_PAGE_SIZE) -> int:
    """How many items to answer: 0 means the default, more than the limit is lowered to it.

    Raises: INVALID_FIELD when negative.
    """
    if wanted < 0:
        raise invalid_field("page_size", f"is {wanted}; must be at least 0")
    return min(wanted or DEFAULT_PAGE_SIZE, most)


@dataclass(frozen=True, slots=True)
class PageTokens:
    """Makes and reads the page tokens of one registry; every replica makes the same."""

    registry_uid: str

    def query(self, *binding: object) -> Query:
        """The query that tokens belong to: method, principal, parent, and all that filters or orders."""
        text = json.dumps([str(part) for part in binding])
        secret = hashlib.sha256(f"registry-grpc page token v1 {self.registry_uid}".encode())
        return Query(hmac.digest(secret.digest(), text.encode(), "sha256"))


@dataclass(frozen=True, slots=True)
class Query:
    """One list query."""

    _key: bytes

    def token(self, *after: Key) -> str:
        """The token of the page that begins after the item with this sort key."""
        body = json.dumps(after, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(body) + body).rstrip(b"=").decode()

    def after(self, token: str) -> tuple[Key, ...] | None:
        """The sort key in `token`; None when it is empty: the first page.

        Raises: INVALID_PAGE_TOKEN.
        """
        if not token:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise _refused() from None
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body)):
            raise _refused()
        return tuple(json.loads(body))

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_MAC_BYTES]


def _refused() -> RegistryError:
    return RegistryError(
        Reason.INVALID_PAGE_TOKEN,
        "page_token was altered or belongs to another query; "
        "repeat the query it came from, or begin again without a token",
    )
