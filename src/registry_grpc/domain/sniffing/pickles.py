"""Pickles, recognised by walking their opcodes. Nothing is ever unpickled.

The walk skips the arguments of opcodes by their length, so a large first argument hides nothing.
"""

import bz2
import lzma
import pickletools
import re
import zlib
from dataclasses import dataclass

from registry_grpc.domain.sniffing.window import HEAD_BYTES, Window, uint

_MAX_STEPS = 4096
_MAX_BLOCKS = 8
_BLOCK_BYTES = 256 * 1024
_BZIP2_BYTES = 1 << 20
"""A bzip2 block gives nothing before its end, which may be 900 kB away."""
_MAX_MEMORY_BYTES = 80 << 20
_PROTO = 0x80
_HIGHEST_PROTOCOL = 5
_STOP = "STOP"
_IMPORTS = {"GLOBAL", "INST", "STACK_GLOBAL", "REDUCE", "OBJ", "BUILD", "NEWOBJ", "NEWOBJ_EX"} | {
    "EXT1",
    "EXT2",
    "EXT4",
    "BINPERSID",
}
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_LINES = {
    "INT": re.compile(rb"[+-]?\d+L?"),
    "LONG": re.compile(rb"[+-]?\d+L?"),
    "FLOAT": re.compile(rb"[+-]?(?:\d[\d.eE+-]*|inf|nan)"),
    "STRING": re.compile(rb"(?:'.*'|\".*\")", re.DOTALL),
    "GET": re.compile(rb"\d+"),
    "PUT": re.compile(rb"\d+"),
    "GLOBAL": re.compile(rb"[\w.<>]+", re.ASCII),
    # Plain pickle refuses it, and the arguments of the loaders that do not are text.
    "PERSID": re.compile(rb"[ -~]*"),
    "INST": re.compile(rb"[\w.<>]+", re.ASCII),
}
_OPCODES = {ord(code.code): code for code in pickletools.opcodes}
_TORCH_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
_LZ4 = b"\x04\x22\x4d\x18"


@dataclass
class _Walk:
    steps: int = 0
    imports: bool = False
    stopped: bool = False
    cut: bool = False
    """The walk ended because of a limit, or the end of what there is, and not for a wrong byte."""


def sniff(window: Window) -> str | None:
    """The kind of pickle a file begins with."""
    head = window.head
    if not _is_pickle(window):
        return None
    if _TORCH_MAGIC in head[:32]:
        return "pytorch-legacy"
    if b"joblib.numpy_pickle" in head or b"joblib\nnumpy_pickle" in head:
        return "joblib"
    return "pickle"


def sniff_compressed(window: Window) -> str | None:
    """Compressed data by its scheme, and `compressed-pickle` where a pickle begins inside."""
    head = window.head
    scheme = _scheme(head)
    if scheme is None:
        return None
    source = window.at(0, _BZIP2_BYTES) if scheme == "bzip2" else head
    inside = _lz4_literals(head) if scheme == "lz4" else _decompressed(scheme, source)
    if inside is None:
        return None
    if scheme == "lz4":
        begins = len(inside) > 1 and inside[0] == _PROTO and inside[1] <= _HIGHEST_PROTOCOL
        return "compressed-pickle" if begins else "lz4"
    if _is_pickle(Window("", len(inside), lambda offset, length: inside[offset : offset + length])):
        return "compressed-pickle"
    # Two bytes are too little to call anything zlib that has no pickle inside.
    return None if scheme == "zlib" else scheme


def _is_pickle(window: Window) -> bool:
    head = window.head
    walk = _walked(window)
    if len(head) > 1 and head[0] == _PROTO and head[1] <= _HIGHEST_PROTOCOL:
        return walk.stopped or walk.imports or (walk.steps > 1 and walk.cut)
    # Protocols 0 and 1 have no mark of their own: only a pickle that does something, or is the whole
    # file, counts. One too long to follow counts as well: text or noise never gets so far.
    if walk.stopped:
        return walk.imports or (walk.steps > 1 and walk.cut)
    return walk.steps >= _MAX_STEPS or (walk.cut and walk.imports)


def _walked(window: Window) -> _Walk:
    walk = _Walk()
    block, start, position, blocks = window.head, 0, 0, 1
    while not walk.cut:
        inner = position - start
        if start + len(block) < window.size_bytes and not _holds_opcode(block, inner):
            block, start, inner, blocks = window.at(position, _BLOCK_BYTES), position, 0, blocks + 1
        if not block[inner:] or blocks > _MAX_BLOCKS or walk.steps == _MAX_STEPS:
            walk.cut = True
            break
        code = _OPCODES.get(block[inner])
        length = _argument_bytes(code, block, inner + 1) if code else None
        if code is None or length is None:
            walk.cut = code is not None and _is_line(code) and not _holds_opcode(block, inner)
            break
        walk.steps += 1
        position += 1 + length
        walk.imports |= code.name in _IMPORTS
        if code.name == _STOP:
            walk.stopped = True
            walk.cut = position == window.size_bytes
            break
    return walk


def _is_line(code: pickletools.OpcodeInfo) -> bool:
    return code.arg is not None and code.arg.n == pickletools.UP_TO_NEWLINE


def _holds_opcode(block: bytes, at: int) -> bool:
    """Whether the opcode at `at`, and as much of its argument as matters, lies in the block."""
    code = _OPCODES.get(block[at]) if at < len(block) else None
    if code is None:
        return at < len(block)
    if _is_line(code):
        return block.find(b"\n", block.find(b"\n", at + 1) + 1) > at
    return at + 9 <= len(block)


def _argument_bytes(code: pickletools.OpcodeInfo, block: bytes, at: int) -> int | None:
    """How many bytes the argument takes; None when it cannot be one."""
    if code.arg is None:
        return 0
    kind = code.arg.n
    if kind >= 0:
        is_bad_protocol = code.name == "PROTO" and block[at : at + 1] > bytes([_HIGHEST_PROTOCOL])
        return None if is_bad_protocol else kind
    if kind in _LENGTH_BYTES:
        width = _LENGTH_BYTES[kind]
        return width + uint(block[at : at + width])
    lines = 2 if code.name in {"GLOBAL", "INST"} else 1
    end = at
    for _ in range(lines):
        newline = block.find(b"\n", end)
        if newline < 0:
            return None
        pattern = _LINES.get(code.name)
        if pattern and not pattern.fullmatch(block[end:newline].rstrip(b"\r")):
            return None
        end = newline + 1
    return end - at


def _scheme(head: bytes) -> str | None:
    for magic, name in (
        (b"\x1f\x8b\x08", "gzip"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"\x5d\x00\x00", "lzma"),
        (_LZ4, "lz4"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ):
        if head.startswith(magic):
            return name
    is_zlib = len(head) > 1 and head[0] == 0x78 and not (head[0] << 8 | head[1]) % 31  # noqa: PLR2004
    return "zlib" if is_zlib else None


def _decompressed(scheme: str, source: bytes) -> bytes | None:
    """At most a head of what is inside; None when this is not that scheme after all."""
    try:
        match scheme:
            case "gzip":
                return zlib.decompressobj(31).decompress(source, HEAD_BYTES)
            case "zlib":
                return zlib.decompressobj().decompress(source, HEAD_BYTES)
            case "bzip2":
                return bz2.BZ2Decompressor().decompress(source, HEAD_BYTES)
            case "xz" | "lzma":
                reader = lzma.LZMADecompressor(memlimit=_MAX_MEMORY_BYTES)
                return reader.decompress(source, HEAD_BYTES)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError):
        # A torn file keeps its name where the mark is long enough to be no accident.
        return b"" if scheme in {"gzip", "xz"} else None
    return b""


def _lz4_literals(head: bytes) -> bytes:
    """The literal bytes an LZ4 frame begins with: whatever is inside begins with them."""
    flags = head[4] if len(head) > 4 else 0  # noqa: PLR2004
    at = 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
    if uint(head[at : at + 4]) & 0x80000000:
        return head[at + 4 : at + 20]
    count, at = (head[at + 4] >> 4 if len(head) > at + 4 else 0), at + 5
    while count >= 15 and at < len(head) and head[at] == 255:  # noqa: PLR2004
        at += 1
    return head[at + (count >= 15) :][: min(count, 16)]  # noqa: PLR2004
