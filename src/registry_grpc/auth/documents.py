"""What is read from an issuer: small documents, from places the configuration names and never from those a token names.

Blocking; run it off the loop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from urllib3.util import Timeout

TIMEOUT_S = 5.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class FetchError(Exception):
    """A document could not be had. Says which and why, without its content."""


@dataclass(frozen=True, slots=True)
class Document:
    """What was read, and for how long its publisher says it is good."""

    data: bytes
    max_age_s: float | None = None


def is_trustworthy(url: str) -> bool:
    """Whether nobody between can change what is read there: https, or http on this machine."""
    parts = urlsplit(url)
    if parts.username or parts.password or not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


_ACCEPTED = "application/json, application/jwk-set+json"
"""kube-apiserver answers 406 for its keys (RFC 7517) to whoever does not name their own type."""


class Fetcher:
    """Reads documents over HTTPS. Safe from any thread."""

    def __init__(self, *, ca_file: Path | None = None, token_file: Path | None = None) -> None:
        """`token_file` holds a bearer token that is sent along; it is read each time, because it is rotated."""
        self._ca_file = ca_file
        self._token_file = token_file

    def fetch(self, url: str, max_bytes: int) -> Document:
        """The document at `url`, at most `max_bytes` of it, within `TIMEOUT_S`. No redirect is followed.

        Raises: FetchError.
        """
        if not is_trustworthy(url):
            raise FetchError(f"{url}: only https is read, and http from this machine")
        headers = {"accept": _ACCEPTED, "user-agent": "mreg"}
        try:
            if self._token_file is not None:
                headers["authorization"] = f"Bearer {_token_in(self._token_file)}"
            # A pool of its own each time: the CA file may have been rotated, and this happens a few times an hour.
            with urllib3.PoolManager(ca_certs=str(self._ca_file) if self._ca_file else None) as pool:
                return self._read(pool, url, headers, max_bytes)
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            raise FetchError(f"{url}: {type(error).__name__}: {_short(error)}") from None

    @staticmethod
    def _read(pool: urllib3.PoolManager, url: str, headers: dict[str, str], max_bytes: int) -> Document:
        end = time.monotonic() + TIMEOUT_S
        response = pool.request(
            "GET",
            url,
            headers=headers,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=Timeout(total=TIMEOUT_S),
        )
        try:
            if response.status != 200:  # noqa: PLR2004 - OK
                raise FetchError(f"{url}: status {response.status}, 200 is wanted")
            data = bytearray()
            # In pieces as they come: one that drips would otherwise renew its time with each byte.
            while piece := response.read1(64 * 1024):
                data += piece
                if len(data) > max_bytes:
                    raise FetchError(f"{url}: has over {max_bytes} bytes")
                if time.monotonic() > end:
                    raise FetchError(f"{url}: took over {TIMEOUT_S:g} s")
            return Document(bytes(data), _max_age_s(response.headers.get("cache-control", "")))
        finally:
            response.close()


def read_file(path: Path, max_bytes: int) -> Document:
    """A document on disk.

    Raises: FetchError.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise FetchError(f"{path}: {error.strerror}") from None
    if len(data) > max_bytes:
        raise FetchError(f"{path}: has over {max_bytes} bytes")
    return Document(data)


def _token_in(path: Path) -> str:
    """Raises: FetchError, which never shows what is in the file."""
    text = path.read_text(errors="replace").strip()
    if not (text and text.isascii() and text.isprintable() and " " not in text):
        raise FetchError(f"{path}: holds no token")
    return text


def _max_age_s(cache_control: str) -> float | None:
    for part in cache_control.lower().split(","):
        name, _, value = part.strip().partition("=")
        if name in {"no-store", "no-cache"}:
            return 0.0
        if name == "max-age" and value.isascii() and value.isdigit() and len(value) < 10:  # noqa: PLR2004 - 30 years
            return float(value)
    return None


def _short(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= 200 else text[:197] + "…"  # noqa: PLR2004 - enough for a log line
