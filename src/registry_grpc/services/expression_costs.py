"""What a compiled CEL expression may cost at the most, told from its tree before anybody runs it.

Evaluation cannot be stopped from outside, and runs where a promotion holds its locks. What the compiler bounds by
itself is the depth of an expression and the iterations of all its loops together (10,000). The rest is bounded here:
what is done in each iteration, and what touches a long text, a long list or a whole version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_COST = 400_000
"""Steps; some tenths of a microsecond each."""
_ITEMS = 1_000
"""Most items of a list in a version; see `field_rules.MAX_LIST`."""
_ITERATIONS = 10_000
"""Of all loops together; the compiler's own limit."""
_LONG = 2_000
"""Steps that comparing or searching a list, a map or a message comes to."""
_PATTERN = 10_000
"""Steps that matching a text of 8,192 characters with the worst of patterns comes to."""
_LONG_TEXT = 5_000
"""Steps that reading a text such as a model card comes to."""
_LONG_TEXTS = frozenset({b"model_card", b"card", b"description", b"annotations"})
"""Of `card` whatever is read in it."""
_TEXT = 10
"""Steps that looking through a text of 2,048 characters comes to."""
_OPERATORS = (b"_", b"!", b"-", b"@")
_SEARCHES = frozenset({b"_==_", b"_!=_", b"@in", b"in"})

# Numbers of fields in google.protobuf.Any, cel.expr.CheckedExpr, Expr and Type, and of the kinds of Expr.
_ANY_VALUE, _CHECKED_EXPR, _TYPE_MAP, _ID = 2, 4, 3, 2
_CONSTANT, _NAME, _SELECT, _CALL, _LIST, _STRUCT, _LOOP = 3, 4, 5, 6, 7, 8, 9
_DYNAMIC, _LIST_TYPE, _MAP_TYPE, _MESSAGE_TYPE = 1, 6, 7, 9
_TEXT_TYPES = frozenset({b"\x05", b"\x06"})
"""Primitive types STRING and BYTES."""
_PRIMITIVE = 3
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Node(NamedTuple):
    id: int
    kind: int
    fields: list[tuple[int, bytes]]

    def text(self, number: int) -> bytes:
        return next((value for at, value in self.fields if at == number), b"")

    def parts(self) -> Iterator[_Node]:
        """Expressions in it, one level down."""
        if self.kind == _STRUCT:
            entries = [dict(_fields(value)) for at, value in self.fields if at == 2]  # noqa: PLR2004 - field `entries`
            yield from (_node(entry[at]) for entry in entries for at in (3, 4) if at in entry)
            return
        places = {_SELECT: (1,), _CALL: (1, 3), _LIST: (1,), _LOOP: (2, 4, 5, 6, 7)}.get(self.kind, ())
        yield from (_node(value) for at, value in self.fields if at in places)


def cost_fault(checked: bytes) -> str:
    """Why an expression, a `cel.expr.CheckedExpr` in an Any, may cost too much; empty when it may not."""
    tree = b""
    types: dict[int, tuple[int, bytes]] = {}
    for at, value in _fields(dict(_fields(checked))[_ANY_VALUE]):
        if at == _CHECKED_EXPR:
            tree = value
        elif at == _TYPE_MAP:
            entry = dict(_fields(value))
            types[int.from_bytes(entry.get(1, b""), "little")] = next(_fields(entry.get(2, b"")), (_DYNAMIC, b""))
    try:
        cost = _cost(_node(tree), types, 0)
    except ValueError as fault:
        return str(fault)
    if cost > MAX_COST:
        return f"may take {cost} steps, the limit is {MAX_COST}: say less in each all or exists, or nest fewer"
    return ""


def _cost(node: _Node, types: dict[int, tuple[int, bytes]], depth: int) -> int:
    """Steps, at the most. Raises: ValueError for what has no bound."""
    deeper = depth + (node.kind == _LOOP)
    parts = list(node.parts())
    here = _own(node, parts, types, depth) * (1 if not depth else _ITEMS if depth == 1 else _ITERATIONS)
    return here + sum(_cost(part, types, deeper) for part in parts)


def _own(node: _Node, parts: list[_Node], types: dict[int, tuple[int, bytes]], depth: int) -> int:
    if node.kind == _SELECT and node.text(2) in _LONG_TEXTS:
        if depth:
            raise ValueError(f"reads {node.text(2).decode()} inside of all or exists; read it outside of them")
        return _LONG_TEXT
    if node.kind != _CALL:
        return 1
    function = node.text(2)
    if function == b"_+_" and _grows(types.get(node.id, (_DYNAMIC, b""))):
        raise ValueError("makes a longer text or list (+, map, filter); ask with all, exists or exists_one")
    if function == b"matches":
        if any(_reads_long(part) for part in parts):
            raise ValueError("matches a long text with a pattern; use contains, startsWith or endsWith")
        return _PATTERN
    if function in _SEARCHES and any(_is_long(part, types) for part in parts):
        return _LONG
    return 1 if function.startswith(_OPERATORS) else _TEXT


def _grows(kind: tuple[int, bytes]) -> bool:
    number, value = kind
    return number in {_DYNAMIC, _LIST_TYPE} or (number == _PRIMITIVE and value in _TEXT_TYPES)


def _is_long(node: _Node, types: dict[int, tuple[int, bytes]]) -> bool:
    if node.kind in {_LIST, _CONSTANT}:
        return False
    return types.get(node.id, (_DYNAMIC, b""))[0] in {_DYNAMIC, _LIST_TYPE, _MAP_TYPE, _MESSAGE_TYPE}


def _reads_long(node: _Node) -> bool:
    return (node.kind == _SELECT and node.text(2) in _LONG_TEXTS) or any(map(_reads_long, node.parts()))


def _node(data: bytes) -> _Node:
    number, kind, fields = 0, 0, b""
    for at, value in _fields(data):
        if at == _ID:
            number = int.from_bytes(value, "little")
        else:
            kind, fields = at, value
    return _Node(number, kind, list(_fields(fields)) if kind not in {_CONSTANT, _NAME} else [])


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Fields of a message on the wire, numbers as little-endian bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value.to_bytes((value.bit_length() + 7) // 8, "little")
            continue
        length, at = _varint(data, at) if wire == _BYTES else ({_FIXED64: 8, _FIXED32: 4}[wire], at)
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:  # noqa: PLR2004 - no more follow
            return value, at
