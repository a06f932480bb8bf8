"""Messages put together of parts that are serialised already, and taken apart without copying their bytes.

Of a chunk of bytes protobuf's own way makes two copies, there and back; of a message in a message it makes one.

Source: protobuf encoding. Fields may come in any order, so the serialised rest of a message goes in front.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from crc32c import crc32c

from registry_grpc.v1 import common_pb2

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
"""Wire types."""
_FIXED = {_I64: 8, _I32: 4}
_CONTENT = bytes([common_pb2.Chunk.CONTENT_FIELD_NUMBER << 3 | _LEN])
_CRC32C = bytes([common_pb2.Chunk.CRC32C_FIELD_NUMBER << 3 | _I32])
_CRC32C_BYTES = 5
_MAX_VARINT_BYTES = 10


def chunk_message(rest: bytes, field: int, content: bytes) -> bytes:
    """The message `rest` with a Chunk of `content` and its CRC32C in its field number `field` (below 16)."""
    inner = _CONTENT + varint(len(content))
    size = len(inner) + len(content) + _CRC32C_BYTES
    head = rest + bytes([field << 3 | _LEN]) + varint(size) + inner
    return b"".join((head, content, _CRC32C, struct.pack("<I", crc32c(content))))


def submessage(field: int, message: bytes) -> bytes:
    """The field number `field` (below 16) with a message, or one more of several, in it."""
    return bytes([field << 3 | _LEN]) + varint(len(message)) + message


def varint(value: int) -> bytes:
    """A number as the encoding has it: seven bits a byte, the lowest first."""
    groups = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def without_content(raw: bytes, field: int) -> tuple[bytes, memoryview] | None:
    """The message `raw` with the Chunk in its field number `field` emptied of its content, and that content, uncopied.

    None for whatever is not laid out as every encoder does it (no chunk, two of them, groups, cut off): protobuf
    reads that, or refuses it.
    """
    chunk = _only(raw, 0, len(raw), field)
    if chunk is None:
        return None
    content = _only(raw, chunk.inside, chunk.end, common_pb2.Chunk.CONTENT_FIELD_NUMBER)
    if content is None:
        return None
    kept = raw[chunk.inside : content.start] + raw[content.end : chunk.end]
    rest = b"".join((raw[: chunk.start], submessage(field, kept), raw[chunk.end :]))
    return rest, memoryview(raw)[content.inside : content.end]


class _Field(NamedTuple):
    """Where a length-delimited field is: its tag, its bytes, and what follows."""

    start: int
    inside: int
    end: int


def _only(raw: bytes, at: int, end: int, field: int) -> _Field | None:
    """The one length-delimited field `field` (below 16) of the message in `raw[at:end]`."""
    found = None
    while at < end:
        start = at
        tag, at = _read_varint(raw, at, end)
        length = 0
        if tag & 7 == _VARINT:
            _, at = _read_varint(raw, at, end)
        elif tag & 7 == _LEN:
            length, at = _read_varint(raw, at, end)
        elif tag & 7 in _FIXED:
            length = _FIXED[tag & 7]
        else:
            return None
        if at < 0 or at + length > end:
            return None
        if tag >> 3 == field:
            if found or tag & 7 != _LEN:
                return None
            found = _Field(start, at, at + length)
        at += length
    return found


def _read_varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """A number and where it ends; that is negative when it does not end."""
    value = 0
    for index in range(min(end - at, _MAX_VARINT_BYTES) if at >= 0 else 0):
        byte = raw[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no eighth bit
            return value, at + index + 1
    return 0, -1
