"""Models that are graphs or trees: ONNX, TensorFlow, TFLite, and the boosting libraries."""

import re

from registry_grpc.domain.sniffing.window import Window

_MAX_FIELDS = 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ONNX_FIELDS = {
    1: _VARINT, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _VARINT, 6: _BYTES, 7: _BYTES, 8: _BYTES,
    14: _BYTES, 20: _BYTES, 25: _BYTES, 26: _BYTES,
}  # fmt: skip
_ONNX_VERSION, _ONNX_GRAPH, _ONNX_OPSETS = 1, 7, 8
_MAX_ONNX_VERSION = 100
_MARKS = (
    (b"CBM1", "catboost"),
    (b"tree\nversion=", "lightgbm"),
    (b"tree\r\nversion=", "lightgbm"),
)
_PMML = re.compile(rb"<(?:\w+:)?PMML[\s>]")


def sniff(window: Window) -> str | None:
    """The format of a graph or tree model."""
    head = window.head
    for magic, name in _MARKS:
        if head.startswith(magic):
            return name
    if head[4:8] == b"TFL3":
        return "tflite"
    if _is_xgboost(head):
        return "xgboost"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and _PMML.search(head[:4096]):
        return "pmml"
    if window.name == "saved_model.pb" and head.startswith(b"\x08\x01\x12"):
        return "tensorflow"
    return "onnx" if _is_onnx(window) else None


def _is_xgboost(head: bytes) -> bool:
    if not head.startswith(b"{"):
        return False
    if head[1:2] in b"iIlLU" and b"learner" in head[:64]:
        return True  # UBJSON: the key follows its length
    # The keys may come in any order, and the first may be long.
    is_text = head[1:].lstrip().startswith(b'"')
    return is_text and (b'"learner"' in head and b'"gradient_booster"' in head)


def _is_onnx(window: Window) -> bool:
    """Whether the fields at the top level are those of a ModelProto, as far as a few can be read."""
    at, version, seen = 0, 0, set[int]()
    for _ in range(_MAX_FIELDS):
        if at >= window.size_bytes:
            break
        block = window.at(at, 24)
        tag, used = _varint(block, 0)
        field, wire = tag >> 3, tag & 7
        if not used or _ONNX_FIELDS.get(field) != wire:
            return False
        value, more = _varint(block, used)
        if not more:
            return False
        at += used + more + (value if wire == _BYTES else 0)
        if at > window.size_bytes:
            return False
        seen.add(field)
        version = value if field == _ONNX_VERSION else version
    return 0 < version <= _MAX_ONNX_VERSION and {_ONNX_GRAPH, _ONNX_OPSETS} <= seen


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A varint and its length; length 0 when there is none."""
    value = 0
    for index, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004 -- the continuation bit
            return value, index + 1
    return 0, 0
