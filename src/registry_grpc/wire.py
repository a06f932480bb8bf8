"""Messages with a chunk of bytes, put together with one copy of the bytes; protobuf's own way makes two.

Source: protobuf encoding. Fields may come in any order, so the serialised rest of a message goes in front.
"""

from __future__ import annotations

import struct

import google_crc32c

from registry_grpc.v1 import common_pb2

_LEN, _I32 = 2, 5
"""Wire types."""
_CONTENT = bytes([common_pb2.Chunk.CONTENT_FIELD_NUMBER << 3 | _LEN])
_CRC32C = bytes([common_pb2.Chunk.CRC32C_FIELD_NUMBER << 3 | _I32])
_CRC32C_BYTES = 5


def chunk_message(rest: bytes, field: int, content: bytes) -> bytes:
    """The message `rest` with a Chunk of `content` and its CRC32C in its field number `field` (below 16)."""
    inner = _CONTENT + varint(len(content))
    size = len(inner) + len(content) + _CRC32C_BYTES
    head = rest + bytes([field << 3 | _LEN]) + varint(size) + inner
    return b"".join((head, content, _CRC32C, struct.pack("<I", google_crc32c.value(content))))


def varint(value: int) -> bytes:
    """A number as the encoding has it: seven bits a byte, the lowest first."""
    groups = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
