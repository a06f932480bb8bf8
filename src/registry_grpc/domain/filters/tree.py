"""What a filter says, before anybody asked whether its fields exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar, Union

from registry_grpc.domain.errors import Reason, RegistryError, Violation, shortened

MAX_CHARS = 16_384
MAX_RESTRICTIONS = 100
MAX_DEPTH = 20


class Operator(StrEnum):
    """How a field and a value are compared."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    HAS = ":"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it was written."""

    text: str
    column: int
    """Where it begins, from 1."""
    quoted: bool = False
    prefix: bool = False
    """It ended in a star: everything that begins with `text` is meant."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A field, `tags.team`, or a function of literals, `metric("auc", "q3")`."""

    path: tuple[str, ...]
    column: int
    arguments: tuple[Literal, ...] | None = None
    """None for a field."""

    @property
    def shown(self) -> str:
        """As it can be written."""
        return ".".join(self.path) + ("" if self.arguments is None else "(…)")


@dataclass(frozen=True, slots=True)
class Restriction:
    """A field compared with a value, or a field alone, which asks whether it is true."""

    subject: Subject
    operator: Operator | None = None
    value: Literal | None = None


Leaf = TypeVar("Leaf")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class And(Generic[Leaf]):
    """All of them; true without any."""

    parts: tuple[Tree[Leaf], ...]


@dataclass(frozen=True, slots=True)
class Or(Generic[Leaf]):
    """At least one of them; false without any."""

    parts: tuple[Tree[Leaf], ...]


@dataclass(frozen=True, slots=True)
class Not(Generic[Leaf]):
    """Not this."""

    part: Tree[Leaf]


Tree = Union[Leaf, And[Leaf], Or[Leaf], Not[Leaf]]  # noqa: UP007 - the operator makes no generic alias
"""Leaves joined by AND, OR and NOT, at most `MAX_DEPTH` deep."""


def folded(
    tree: Tree[Leaf],
    leaf: Callable[[Leaf], Other],
    *,
    every: Callable[[Sequence[Other]], Other],
    some: Callable[[Sequence[Other]], Other],
    negated: Callable[[Other], Other],
) -> Other:
    """What a tree comes to, from the leaves upwards."""

    def of(node: Tree[Leaf]) -> Other:
        if isinstance(node, And):
            return every([of(part) for part in node.parts])
        if isinstance(node, Or):
            return some([of(part) for part in node.parts])
        if isinstance(node, Not):
            return negated(of(node.part))
        return leaf(node)

    return of(tree)


def mapped(tree: Tree[Leaf], leaf: Callable[[Leaf], Other]) -> Tree[Other]:
    """The same tree with other leaves."""
    if isinstance(tree, And):
        return And(tuple(mapped(part, leaf) for part in tree.parts))
    if isinstance(tree, Or):
        return Or(tuple(mapped(part, leaf) for part in tree.parts))
    if isinstance(tree, Not):
        return Not(mapped(tree.part, leaf))
    return leaf(tree)


def invalid_filter(column: int, what: str, *, field: str = "filter") -> RegistryError:
    """The error for a filter that cannot be used; `column` counts from 1, `field` is where it stands in the request."""
    return RegistryError(
        Reason.INVALID_FILTER,
        f"{field}, column {column}: {shortened(what)}",
        violations=(Violation(field, f"column {column}: {shortened(what)}; docs/catalogue.md has the grammar"),),
        position=column,
    )
