"""How many parts all upload streams together have on their way to the store, by how late the loop runs meanwhile.

Each of them is a thread that hashes and sends. Where these compete with the loop for the interpreter and the cores,
every call of everybody waits, and the loop's own timers are late; where they only wait for a network, it is on time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOK_S = 0.02
"""Between two looks at how late the loop is."""
LOOKS = 25
"""Are judged together: about half a second, more when the loop is late."""
LATE_S = 0.0025
"""Nine looks of ten may be no later, or there are fewer parts. On two cores, shared with store and clients, they were
1.2 to 1.6 ms late with one part, 3.7 with two, 5.5 with three; on an idle machine 0.3."""
PROMPT_S = 0.0015
"""Nine looks of ten must be no later before there are more parts. In between both nothing changes."""
PATIENCE = 8
"""Judgements on time before one part more is tried: four seconds."""
MOST_PATIENCE = 64
"""After tries that failed, one after the other; about half a minute."""


class Allowance:
    """From one part to `most`: fewer at once when the loop is late, one more after a while on time."""

    def __init__(self, most: int, first: int) -> None:
        """Begins with `first`."""
        self.parts = min(first, most)
        self._most = most
        self._looks: list[float] = []
        self._used = 0
        """Most parts under way at a look since the last judgement."""
        self._on_time = 0
        self._patience = PATIENCE
        self._trying = False
        """Whether the last change was one part more, and nothing is known of it yet."""

    def look(self, late_s: float, used: int) -> None:
        """Take into account that the loop ran `late_s` late while `used` parts were under way."""
        self._looks.append(late_s)
        self._used = max(self._used, used)
        if len(self._looks) < LOOKS:
            return
        late_s, used = sorted(self._looks)[LOOKS * 9 // 10], self._used
        self.forget()
        if late_s > LATE_S:
            self._fewer(used)
        elif late_s <= PROMPT_S:
            self._perhaps_more(used)

    def forget(self) -> None:
        """Begin a new judgement: what was seen belongs to other circumstances."""
        self._looks.clear()
        self._used = 0

    def _fewer(self, used: int) -> None:
        # Each try costs the callers half a second: what failed is tried again later and later.
        if self._trying:
            self._patience = min(self._patience * 2, MOST_PATIENCE)
        self._on_time, self._trying = 0, False
        # Half of what made the loop late. What was allowed beyond it was not there.
        self.parts = max(1, min(self.parts, used) // 2)

    def _perhaps_more(self, used: int) -> None:
        if used < self.parts:
            # Nothing says that the loop would be on time with more, and nobody needs them.
            return
        if self._trying:
            self._trying, self._patience = False, PATIENCE
        self._on_time += 1
        if self._on_time >= self._patience and self.parts < self._most:
            self.parts += 1
            self._on_time, self._trying = 0, True


class TransferRoom:
    """Places for parts, given in the order in which they are asked for.

    Concurrency: of one loop. A place belongs to nobody: whoever took it may have another task give it back.
    """

    def __init__(self, most: int, alone: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Never more than `most` places; never fewer than `alone` while no more than one stream is open."""
        self.streams = 0
        """Open now."""
        self.taken = 0
        self._alone = min(alone, most)
        self._clock = clock
        self._allowance = Allowance(most, alone)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._next_look: asyncio.TimerHandle | None = None

    @property
    def places(self) -> int:
        """How many there are now. More may be taken still, from when there were more."""
        # One upload has at most `alone` parts, which harm nobody; it shall be as fast as it can.
        return self._allowance.parts if self.streams > 1 else max(self._alone, self._allowance.parts)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """A stream is open meanwhile. Parts of it may be under way for longer."""
        self.streams += 1
        self._give()
        try:
            yield
        finally:
            self.streams -= 1
            self._give()

    async def acquire(self) -> None:
        """Take a place, after all who wait already."""
        place = asyncio.get_running_loop().create_future()
        # In the line even if there are places: one way for all keeps the order.
        self._waiting.append(place)
        self._give()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                # Given before the cancel arrived, and nobody will use it.
                self.release()
            raise

    def release(self) -> None:
        """Give a place back, whoever took it."""
        self.taken -= 1
        self._give()

    def _give(self) -> None:
        """Must follow every change of places, waiters or streams, so that nobody waits while there is a place."""
        while self._waiting and (self._waiting[0].done() or self.taken < self.places):
            place = self._waiting.popleft()
            # Those who no longer wait stay in the line until they are met here.
            if not place.done():
                self.taken += 1
                place.set_result(None)
        if self.taken and self.streams > 1 and self._next_look is None:
            self._look_later()

    def _look_later(self) -> None:
        # A timer, not a task: one that is left when the loop ends is dropped without a word.
        # By a clock of its own: the loop's may be rounded to milliseconds, and stands while its callbacks run.
        self._next_look = asyncio.get_running_loop().call_later(LOOK_S, self._look, self._clock() + LOOK_S)

    def _look(self, due: float) -> None:
        self._next_look = None
        if self.streams <= 1 or self.taken > self.places:
            # What the loop is like now says nothing of the places there are.
            self._allowance.forget()
        elif self.taken:
            self._allowance.look(self._clock() - due, self.taken)
        self._give()
