"""How often, and in how many streams at once, a principal and a project may call this process.

Token buckets that hold two seconds' worth. Everything here is the event loop's own except `apply` and `load`. With no
limit set, a call costs two comparisons.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.resources import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from registry_grpc.domain.events import Event
    from registry_grpc.observability.metrics import Metrics
    from registry_grpc.ports.store import Reader

BURST_S = 2.0
RETRY_STEP_S = 0.05
"""Waits are rounded up to this, so that the same refusal is encoded once."""
REMEMBERED = 10_000
"""Buckets of principals kept at once; full ones are forgotten first, which changes nothing for them."""
PAGE = 1000
_WHOLE = 1.0 - 1e-6
"""A token, when the time that was waited for it is no round number in binary."""
LIMITS = ("principal_calls", "project_calls", "principal_streams", "project_streams")


class Bucket:
    """Tokens that come back at a rate."""

    __slots__ = ("rate", "stamp", "tokens")

    def __init__(self, rate: float, now: float) -> None:
        """Full. `rate` is in tokens a second."""
        self.rate = rate
        self.tokens = max(rate * BURST_S, 1.0)
        self.stamp = now

    def take(self, now: float) -> float:
        """Take a token: 0, or the seconds until there is one."""
        tokens = min(self.tokens + (now - self.stamp) * self.rate, max(self.rate * BURST_S, 1.0))
        self.stamp = now
        if tokens >= _WHOLE:
            self.tokens = max(tokens - 1.0, 0.0)
            return 0.0
        self.tokens = tokens
        return (1.0 - tokens) / self.rate

    def is_full(self, now: float) -> bool:
        """Whether a new one would be the same."""
        return self.tokens + (now - self.stamp) * self.rate >= max(self.rate * BURST_S, 1.0)


class Limits:
    """The limits of one process. Follows the quotas of projects as a follower of the feed."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        calls_per_second: int = 0,
        max_streams: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Both are for each principal; 0 is no limit."""
        self._calls = calls_per_second
        self._max_streams = max_streams
        self._clock = clock
        self._count = {limit: metrics.limited.labels(limit).inc for limit in LIMITS}
        self._principals: dict[str, Bucket] = {}
        self._projects: dict[str, Bucket] = {}
        self._quotas: dict[str, tuple[int, int]] = {}
        """Calls a second and streams of the projects that limit either."""
        self._known: dict[str, int] = {}
        """Revision each project was last heard of at; older news of it is void."""
        self._lock = threading.Lock()
        self._streams: dict[object, list[str]] = {}
        """Each open stream with what it counts for: a principal, and a project with a slash before it."""
        self._open: dict[str, int] = {}
        self.version = 0
        """Rises when a limit changes; what was decided under another must be decided anew."""

    def admit(self, principal: str, stream: object = None) -> None:
        """Count a call of a caller who was proven, before its request is read; `leave` when a stream ends.

        Raises: RATE_LIMITED, TOO_MANY_STREAMS.
        """
        if self._calls:
            bucket = self._principals.get(principal) or self._new_bucket(principal)
            wait_s = bucket.take(self._clock())
            if wait_s:
                raise self._refusal("principal_calls", f"you may make {self._calls} calls a second here", wait_s)
        if stream is not None:
            if self._max_streams and self._open.get(principal, 0) >= self._max_streams:
                raise self._full("principal_streams", f"you have {self._max_streams} streams open at this server")
            self._hold(stream, principal)

    def enter(self, resource: str, stream: object = None) -> None:
        """Count a call that may be made for the project of `resource`.

        Raises: RATE_LIMITED, TOO_MANY_STREAMS.
        """
        if not self._quotas:
            return
        project = project_of(resource)
        calls, streams = self._quotas.get(project, (0, 0))
        if calls:
            bucket = self._projects.get(project)
            if bucket is None or bucket.rate != calls:
                bucket = self._projects[project] = Bucket(calls, self._clock())
            wait_s = bucket.take(self._clock())
            if wait_s:
                text = f"projects/{project} may be called {calls} times a second at each server"
                raise self._refusal("project_calls", text, wait_s)
        if stream is not None:
            place = f"/{project}"
            if streams and self._open.get(place, 0) >= streams:
                raise self._full("project_streams", f"projects/{project} has {streams} streams open at this server")
            self._hold(stream, place)

    def leave(self, stream: object) -> None:
        """The stream ended."""
        for held in self._streams.pop(stream, ()):
            left = self._open[held] - 1
            if left:
                self._open[held] = left
            else:
                del self._open[held]

    def gate(self, principal: str, resource: str) -> Callable[[], bool] | None:
        """What takes the tokens of a call that is repeated word for word, when there are some; None without a limit.

        Good as long as `version` stays.
        """
        if not self._calls and not self._quotas.get(project_of(resource), (0, 0))[0]:
            return None

        def pass_through() -> bool:
            try:
                self.admit(principal)
                self.enter(resource)
            except RegistryError:
                return False
            return True

        return pass_through

    def apply(self, events: Iterable[Event]) -> None:
        """Take news of projects. From any thread, in any order."""
        for event in events:
            if isinstance(event.after, Project):
                self._take(event.after, event.revision, gone=event.action in {Action.DELETED, Action.PURGED})

    def load(self, reader: Reader) -> None:
        """Read every project. After the feed began, so that nothing falls between."""
        after = ""
        while True:
            page = reader.projects.list(after=after, limit=PAGE)
            for project in page:
                self._take(project, project.revision, gone=False)
            if len(page) < PAGE:
                return
            after = page[-1].name.project

    def _take(self, project: Project, revision: int, *, gone: bool) -> None:
        name, quotas = project.name.project, project.quotas
        limits = (0, 0) if gone else (quotas.max_calls_per_second, quotas.max_open_streams)
        with self._lock:
            if self._known.get(name, 0) > revision:
                return
            self._known[name] = revision
            if self._quotas.get(name, (0, 0)) == limits:
                return
            others = {other: known for other, known in self._quotas.items() if other != name}
            self._quotas = others | ({name: limits} if any(limits) else {})
            self.version += 1

    def _new_bucket(self, principal: str) -> Bucket:
        now = self._clock()
        if len(self._principals) >= REMEMBERED:
            self._principals = {name: one for name, one in self._principals.items() if not one.is_full(now)}
        if len(self._principals) >= REMEMBERED:
            self._principals.clear()
        bucket = self._principals[principal] = Bucket(self._calls, now)
        return bucket

    def _hold(self, stream: object, what: str) -> None:
        self._streams.setdefault(stream, []).append(what)
        self._open[what] = self._open.get(what, 0) + 1

    def _refusal(self, limit: str, text: str, wait_s: float) -> RegistryError:
        self._count[limit]()
        rounded = math.ceil(wait_s / RETRY_STEP_S) * RETRY_STEP_S
        return RegistryError(Reason.RATE_LIMITED, f"{text}; wait as long as RetryInfo says", retry_after_s=rounded)

    def _full(self, limit: str, text: str) -> RegistryError:
        self._count[limit]()
        return RegistryError(Reason.TOO_MANY_STREAMS, f"{text}, the most there may be; end some, or retry later")


def project_of(resource: str) -> str:
    """Id of the project a resource name lies in; empty for the registry itself."""
    head, _, rest = resource.partition("/")
    return rest.partition("/")[0] if head == "projects" else ""
