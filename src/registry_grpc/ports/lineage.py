"""Runs, and the graph of what came from what.

What versions say (provenance, what they are a copy of) is in the graph as soon as they are written, and goes with them;
evidence and deployments are in it as they are. A version of another project is reached through its copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from registry_grpc.domain.lineage import Edge, LineageDirection, Node, NodeType, Run, Step
    from registry_grpc.domain.lineage_names import RunName
    from registry_grpc.domain.search import Visible


@dataclass(frozen=True, slots=True)
class Walk:
    """Which way to go, and how far."""

    direction: LineageDirection
    depth: int
    types: frozenset[NodeType] = frozenset()
    """Of the nodes that are wanted; empty for all."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A page of what a walk reached."""

    steps: Sequence[Step]
    truncated: bool
    """Something lies further than the depth."""


class Runs(Protocol):
    """Runs of projects."""

    def get(self, name: RunName) -> Run | None:
        """The run."""

    def list(self, project: str, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[Run]:
        """The newest first; `after` is time of creation and id of the last one of the page before."""

    def put(self, run: Run) -> None:
        """Write it, in place of the one with its name."""

    def delete(self, name: RunName) -> None:
        """Remove it; what it recorded goes by `Lineage.forget`."""


class Lineage(Protocol):
    """The graph."""

    def lock(self, project: str) -> None:
        """Held by whoever adds edges that could close a cycle, until the transaction ends."""

    def absent(self, nodes: Collection[Node]) -> Sequence[Node]:
        """Those that name a resource which is not there, or is deleted."""

    def find_cycle(self, project: str, edges: Sequence[Edge], *, owner: str = "") -> Sequence[Node]:
        """A cycle that `edges` would close, instead of those that `owner` has now; empty when there is none."""

    def put(self, owner: str, project: str, edges: Sequence[Edge], revision: int) -> None:
        """Write the edges of an owner, and what they say of their nodes, in place of those it has."""

    def forget(self, owner: str) -> None:
        """Remove the edges of an owner."""

    def links(self, project: str, edges: Sequence[Edge]) -> Sequence[Edge]:
        """Those of `edges` that were linked, as they are."""

    def link(self, project: str, edges: Sequence[Edge]) -> None:
        """Add links, which are not there."""

    def unlink(self, project: str, edges: Sequence[Edge]) -> None:
        """Remove links."""

    def find(self, project: str, node: Node, visible: Visible) -> Node | None:
        """The node with what is known of it; None when nothing is, or it is not visible."""

    def walk(
        self,
        project: str,
        node: Node,
        way: Walk,
        visible: Visible,
        *,
        after: tuple[int, str, str] | None,
        limit: int,
    ) -> Reached:
        """A keyset page of what is reached from `node` over visible nodes, by distance, type and id."""

    def is_any_missing(self) -> bool:
        """Whether `index_missing` has anything to do."""

    def index_missing(self, limit: int) -> int:
        """Write what versions say that were there before the graph; how many were looked at, at most `limit`."""

    def forget_project(self, project: str) -> None:
        """Remove everything of a project that goes for good, its runs too."""
