"""Finds cycles in graphs that are given as edges. Pure; no recursion, so that a long chain is no trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    H = TypeVar("H", bound=Hashable)
else:
    H = TypeVar("H")


def find_cycle(edges: Iterable[tuple[H, H]], new: Iterable[tuple[H, H]]) -> Sequence[H]:
    """The nodes of a cycle of `edges` and `new` that one of `new` is part of, in order; empty when there is none."""
    added = list(new)
    ahead: dict[H, list[H]] = {}
    for tail, head in (*edges, *added):
        ahead.setdefault(tail, []).append(head)
    group = _components(ahead)
    for tail, head in added:
        if tail == head:
            return [tail]
        if group[tail] == group[head]:
            return [tail, *_path(ahead, head, tail)[:-1]]
    return []


def _components(ahead: Mapping[H, Sequence[H]]) -> dict[H, int]:
    """Each node's strongly connected component, after Tarjan."""
    found: dict[H, int] = {}
    order: dict[H, int] = {}
    low: dict[H, int] = {}
    stack: list[H] = []
    for start in ahead:
        if start in order:
            continue
        order[start] = low[start] = len(order)
        stack.append(start)
        way: list[tuple[H, Iterator[H]]] = [(start, iter(ahead.get(start, ())))]
        while way:
            node, heads = way[-1]
            for head in heads:
                if head not in order:
                    order[head] = low[head] = len(order)
                    stack.append(head)
                    way.append((head, iter(ahead.get(head, ()))))
                    break
                if head not in found:
                    low[node] = min(low[node], order[head])
            else:
                way.pop()
                if way:
                    low[way[-1][0]] = min(low[way[-1][0]], low[node])
                if low[node] == order[node]:
                    _close(stack, node, found)
    return found


def _close(stack: list[H], root: H, found: dict[H, int]) -> None:
    number = len(found)
    while True:
        node = stack.pop()
        found[node] = number
        if node == root:
            return


def _path(ahead: Mapping[H, Sequence[H]], start: H, end: H) -> list[H]:
    """The shortest way from `start` to `end`, both in it; there is one."""
    came: dict[H, H | None] = {start: None}
    queue = [start]
    for node in queue:
        if node == end:
            break
        for head in ahead.get(node, ()):
            if head not in came:
                came[head] = node
                queue.append(head)
    path: list[H] = []
    at: H | None = end
    while at is not None:
        path.append(at)
        at = came[at]
    return path[::-1]
