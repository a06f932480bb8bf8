"""Lists of a bucket: the questions, and what the replies say."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote, unquote_plus
from xml.etree import ElementTree as ET

from registry_grpc.ports.artifacts import Listing, Stored
from registry_grpc.storage.artifacts.faults import is_key, unavailable
from registry_grpc.storage.artifacts.s3_http import Reply
from registry_grpc.storage.artifacts.s3_replies import parse, text_of

_MOST = 100
"""Entries of a reply, so that it stays below what is read of one."""


def objects_query(prefix: str, after: str, limit: int) -> dict[str, str]:
    """The question for objects behind `after`."""
    query = {"list-type": "2", "prefix": prefix, "max-keys": str(min(limit, _MOST)), "encoding-type": "url"}
    return query | ({"start-after": prefix + after} if after else {})


def objects_of(reply: Reply, prefix: str) -> Listing:
    """Objects of a reply.

    Raises: STORAGE_UNAVAILABLE for one that is not S3.
    """
    root = _root(reply)
    keys, found = [], []
    for entry in _entries(root, "Contents"):
        key = unquote_plus(text_of(entry, "Key")).removeprefix(prefix)
        keys.append(key)
        if is_key(key):
            found.append(Stored(key, int(text_of(entry, "Size")), _age(reply, text_of(entry, "LastModified"))))
    return Listing(found, keys[-1] if keys and text_of(root, "IsTruncated") == "true" else "")


def uploads_query(prefix: str, after: str, limit: int) -> dict[str, str]:
    """The question for multipart uploads behind `after`, which a reply to it gave."""
    query = {"uploads": "", "prefix": prefix, "max-uploads": str(min(limit, _MOST)), "encoding-type": "url"}
    key, _, upload = after.partition("&")
    return query | ({"key-marker": unquote(key), "upload-id-marker": unquote(upload)} if after else {})


def uploads_of(reply: Reply, prefix: str, fingerprint: str) -> Listing:
    """Multipart uploads of a reply; `fingerprint` goes before their ids.

    Raises: STORAGE_UNAVAILABLE for a reply that is not S3.
    """
    root = _root(reply)
    found = []
    for entry in _entries(root, "Upload"):
        key = unquote_plus(text_of(entry, "Key")).removeprefix(prefix)
        if is_key(key):
            age = _age(reply, text_of(entry, "Initiated"))
            found.append(Stored(key, 0, age, f"{fingerprint}.{text_of(entry, 'UploadId')}"))
    marks = (unquote_plus(text_of(root, "NextKeyMarker")), text_of(root, "NextUploadIdMarker"))
    return Listing(
        found, "&".join(quote(each, safe="") for each in marks) if text_of(root, "IsTruncated") == "true" else ""
    )


def _root(reply: Reply) -> ET.Element:
    root = parse(reply.body)
    if root is None:
        raise unavailable("the object store sent a reply that is not S3")
    return root


def _entries(root: ET.Element, name: str) -> Iterator[ET.Element]:
    return (child for child in root if child.tag.rpartition("}")[2] == name)


def _age(reply: Reply, since: str) -> timedelta:
    """By the clock of the store alone; 0 where it does not say, so that nothing is taken for old."""
    try:
        now = parsedate_to_datetime(_header(reply.headers, "date"))
        return max(timedelta(0), now - datetime.fromisoformat(since).replace(tzinfo=UTC))
    except (TypeError, ValueError):
        return timedelta(0)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")
