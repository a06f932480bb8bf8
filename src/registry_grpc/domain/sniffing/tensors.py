"""Formats that hold tensors and nothing else, or ought to: safetensors, GGUF, NumPy, HDF5."""

import json
import re
from typing import Any

from registry_grpc.domain.sniffing.window import Window, ends_with, uint

_MAX_SAFETENSORS_HEADER = 16 << 20
_MAX_PARSED_HEADER = 1 << 20
_MAX_RANK = 64
_MAX_NAME = 64 * 1024
_DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_GGUF_FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_GGUF_STRING, _GGUF_ARRAY = 8, 9
_OBJECT_DTYPE = re.compile(rb"['\"][|<>=]?O\d*['\"]")


def sniff(window: Window) -> str | None:
    """The format of a file of tensors."""
    head = window.head
    if head.startswith(b"GGUF"):
        return _gguf(window)
    if head.startswith(b"\x93NUMPY"):
        return npy(head)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras-hdf5" if b"model_config" in head and b"keras" in head else "hdf5"
    return _safetensors(window)


def npy(head: bytes) -> str:
    """Whether the array that begins with `head` has elements of its own or pickled objects."""
    wide = head[6:7] > b"\x01"
    start = 12 if wide else 10
    length = uint(head[8:start])
    header = head[start : start + length]
    if len(header) < length or not header or _OBJECT_DTYPE.search(header):
        return "npy-object"
    return "npy"


def _safetensors(window: Window) -> str | None:
    head, is_named = window.head, ends_with(window.name, ".safetensors")
    length = uint(head[:8])
    looks_right = head[8:9] == b"{" and 2 <= length <= window.size_bytes - 8  # noqa: PLR2004
    if not looks_right or length > _MAX_SAFETENSORS_HEADER:
        # Named so and not so inside: whatever else it may be was asked before.
        return "safetensors-invalid" if is_named else None
    if length > _MAX_PARSED_HEADER:
        return "safetensors-unchecked"
    if _is_sound(window.at(8, length), window.size_bytes - 8 - length) and not _has_zip_tail(window):
        return "safetensors"
    is_meant = is_named or b'"data_offsets"' in head or b'"__metadata__"' in head
    return "safetensors-invalid" if is_meant else None


def _has_zip_tail(window: Window) -> bool:
    """Also a ZIP archive, to whoever looks at the end: a file must not be two things."""
    return window.at(window.size_bytes - 22, 4) == b"PK\x05\x06"


class _DuplicateKeyError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError
    return found


def _is_sound(header: bytes, data_bytes: int) -> bool:
    """Whether every tensor lies in the data, in one piece, without holes or overlaps."""
    try:
        said = json.loads(header, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return False
    if not isinstance(said, dict):
        return False
    notes = said.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        return False
    spans = [_span(tensor) for tensor in said.values()]
    end = 0
    for span in sorted(span for span in spans if span):
        if span[0] != end:
            return False
        end = span[1]
    return None not in spans and end == data_bytes


def _span(tensor: object) -> tuple[int, int] | None:
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
        return None
    shape, offsets = tensor["shape"], tensor["data_offsets"]
    if not _are_sizes(shape, _MAX_RANK) or not _are_sizes(offsets, 2) or len(offsets) != 2:  # noqa: PLR2004
        return None
    first, last = offsets
    if not isinstance(tensor["dtype"], str):
        return None
    bits = _DTYPE_BITS.get(tensor["dtype"])
    for size in shape:
        # Capped: a product of sixty-four large numbers is a number of thousands of bits.
        bits = None if bits is None else min(bits * size, 1 << 80)
    is_known = tensor["dtype"] in _DTYPE_BITS
    fits = first <= last and (not is_known or bits == (last - first) * 8)
    return (first, last) if fits else None


def _are_sizes(values: object, most: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= most
        and all(type(value) is int and 0 <= value < 1 << 63 for value in values)
    )


def _gguf(window: Window) -> str:
    """GGUF, with its counts checked and its keys walked as far as the head goes."""
    head = window.head
    version = uint(head[4:8])
    if version == 3 << 24:  # big-endian files: not walked
        return "gguf"
    tensors, pairs = uint(head[8:16]), uint(head[16:24])
    # A key takes 13 bytes at least and a tensor 24.
    fits = tensors * 24 + pairs * 13 <= window.size_bytes
    if len(head) < 24 or version not in {1, 2, 3} or (version > 1 and not fits):  # noqa: PLR2004
        return "gguf-invalid"
    if version == 1:
        return "gguf"
    at = 24
    for _ in range(pairs):
        end = _gguf_pair_end(window, at)
        if end is None or end > window.size_bytes:
            return "gguf-invalid"
        if end + 12 > len(head):
            return "gguf"
        at = end
    return "gguf"


def _gguf_pair_end(window: Window, at: int) -> int | None:
    head = window.head
    name = uint(head[at : at + 8])
    if name > _MAX_NAME:
        return None
    at += 8 + name
    if at + 4 > len(head):
        return at + 4
    kind = uint(head[at : at + 4])
    at += 4
    if kind == _GGUF_STRING:
        return at + 8 + uint(head[at : at + 8])
    if kind == _GGUF_ARRAY:
        return _gguf_array_end(window, at)
    return at + _GGUF_FIXED[kind] if kind in _GGUF_FIXED else None


def _gguf_array_end(window: Window, at: int) -> int | None:
    head = window.head
    item, count = uint(head[at : at + 4]), uint(head[at + 4 : at + 12])
    at += 12
    if item in _GGUF_FIXED:
        return at + count * _GGUF_FIXED[item]
    if item not in {_GGUF_STRING, _GGUF_ARRAY} or at + count * 8 > window.size_bytes:
        return None
    for _ in range(count):
        if item == _GGUF_ARRAY or at + 8 > len(head):
            return max(at, len(head))
        at += 8 + uint(head[at : at + 8])
    return at
