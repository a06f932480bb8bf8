"""The worker: on the one replica that holds the lease, fills the lines and sends what is due.

Nothing of it is needed after a crash. Whoever takes the lease next goes on from the rows: what was put in line is sent,
what was claimed is sent again when the claim is over, under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from registry_grpc.domain.webhooks import DeliveryState, Webhook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from registry_grpc.domain.events import Event
    from registry_grpc.domain.webhooks import Attempt, Delivery
    from registry_grpc.ports.store import Store
    from registry_grpc.webhooks.dispatch import Dispatch
    from registry_grpc.webhooks.line import Claimed, Line
    from registry_grpc.webhooks.sending import Sender

LEASE = "webhooks"
TTL = timedelta(seconds=15)
RENEW_S = 5.0
POLL_S = 1.0
BREATH_S = 0.02
"""Least time between two turns: commits that come close together are put in line together."""
STOP_S = 5.0
_SETTLE_PAUSES_S = (0.5, 2.0, 4.0)
_LOG = logging.getLogger("registry_grpc.webhooks")


class Observer(Protocol):
    """Told what becomes of deliveries."""

    def attempted(self, outcome: str, delay_s: float | None) -> None:
        """One attempt: `delivered` so long after the commit, `retried` or `dead`."""

    def waiting(self, age_s: float) -> None:
        """How old the oldest event that waits is."""


class Worker:
    """One per process. `apply` may be called from any thread, the rest on the event loop."""

    def __init__(
        self,
        store: Store,
        run: Callable[..., Awaitable[Any]],
        dispatch: Dispatch,
        line: Line,
        sender: Sender,
        observer: Observer,
        holder: str,
    ) -> None:
        """`run(fn, *args)` runs a blocking function in the control pool; `holder` is unique to this process."""
        self._store = store
        self._run = run
        self._dispatch = dispatch
        self._line = line
        self._sender = sender
        self._observer = observer
        self._holder = holder
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._open: dict[asyncio.Task[None], str] = {}
        """Attempts under way, with the uids of their webhooks."""
        self._renew_at = 0.0
        self._look_at = 0.0
        """When the log is looked at although nothing was heard of news."""
        self._idle = False
        """Whether no webhook was enabled when the log was last looked at."""
        self.epoch: int | None = None
        """Epoch of the lease; None while another replica delivers."""

    def start(self) -> None:
        """Begin to stand for election."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._follow(), name="webhooks")

    async def stop(self) -> None:
        """Let attempts under way come to an end for a moment, and give the lease back."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self.epoch is not None:
            with contextlib.suppress(Exception):
                await self._run(self._store.release_lease, LEASE, self._holder)
            self.epoch = None

    def apply(self, events: Iterable[Event]) -> None:
        """There is news in the log."""
        if self.epoch is None or self._loop is None:
            return
        # Where nobody wants anything, a commit costs nothing: the log is looked at once in a while.
        if any(not self._idle or isinstance(event.after, Webhook) for event in events):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        self._look_at = 0.0
        self._wake.set()

    async def _follow(self) -> None:
        while True:
            wait_s = POLL_S
            try:
                if await self._leads():
                    wait_s = await self._turn()
            except Exception as error:  # noqa: BLE001 - whatever fails is tried again; it is reported
                self.epoch = None
                _LOG.warning("delivering to webhooks failed; it goes on later", exc_info=error)
            await asyncio.sleep(BREATH_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            self._wake.clear()

    async def _leads(self) -> bool:
        now = time.monotonic()
        if now >= self._renew_at:
            before = self.epoch
            self.epoch = await self._run(self._store.acquire_lease, LEASE, self._holder, TTL)
            self._renew_at = now + RENEW_S
            if self.epoch != before:
                _LOG.info("delivery to webhooks moved", extra={"epoch": self.epoch, "leads": self.epoch is not None})
            self._observer.waiting(await self._run(self._line.age_s) if self.epoch is not None else 0.0)
        return self.epoch is not None

    async def _turn(self) -> float:
        """Do what is to do now; how long to rest unless woken, seconds."""
        more = False
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + POLL_S
            found = await self._run(self._dispatch)
            more, self._idle = found.more, not found.any
        look = await self._run(self._line.look, Counter(self._open.values()))
        for claimed in look.claimed:
            task = asyncio.create_task(self._deliver(claimed), name="webhook")
            self._open[task] = claimed.webhook.uid
            task.add_done_callback(self._ended)
        if more or look.claimed:
            self._look_at = 0.0 if more else self._look_at
            return 0.0
        return POLL_S if look.wait_s is None else min(POLL_S, look.wait_s)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task, None)
        self._wake.set()

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            attempt = await self._sender.send(claimed.webhook, claimed.delivery, claimed.now)
            after = await self._settle(claimed, attempt)
        except Exception as error:  # noqa: BLE001 - one delivery must not stop the others; it is due again soon
            _LOG.warning("a delivery could not be settled", exc_info=error, extra={"delivery": claimed.delivery.id})
            return
        if after is None:
            return
        if after.state is DeliveryState.DELIVERED:
            self._observer.attempted("delivered", _delay_s(after))
        else:
            self._observer.attempted("dead" if after.state is DeliveryState.DEAD else "retried", None)

    async def _settle(self, claimed: Claimed, attempt: Attempt) -> Delivery | None:
        """As `Line.settle`, tried again for a while: what is not settled is sent twice."""
        for pause_s in _SETTLE_PAUSES_S:
            try:
                settled: Delivery | None = await self._run(self._line.settle, claimed, attempt)
            except Exception:  # noqa: BLE001 - the last one is raised
                await asyncio.sleep(pause_s)
            else:
                return settled
        last: Delivery | None = await self._run(self._line.settle, claimed, attempt)
        return last


def _delay_s(delivery: Delivery) -> float:
    end = delivery.end_time or delivery.create_time
    return max(0.0, (end - delivery.create_time).total_seconds())
