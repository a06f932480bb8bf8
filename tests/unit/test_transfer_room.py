"""Places for parts that are stored: how many there are, who gets them, and that none is lost."""

import asyncio
import contextlib
import random

import pytest

from registry_grpc.services import transfer_room
from registry_grpc.services.transfer_room import (
    LATE_S,
    LOOKS,
    MOST_PATIENCE,
    PATIENCE,
    PROMPT_S,
    Allowance,
    TransferRoom,
)

MOST, ALONE = 8, 3
NEITHER_S = (LATE_S + PROMPT_S) / 2


def judged(allowance, late_s, times=1, used=MOST):
    """As if the loop had run so late for as long as it takes to judge."""
    for _ in range(LOOKS * times):
        allowance.look(late_s, min(used, allowance.parts))
    return allowance.parts


def allowed(parts):
    return Allowance(MOST, parts)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


@contextlib.contextmanager
def streams(room, count):
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(room.stream())
        yield stack


def asked(room):
    return asyncio.ensure_future(room.acquire())


def test_a_late_loop_halves_the_parts_at_once_down_to_one():
    allowance = allowed(MOST)
    assert [judged(allowance, 2 * LATE_S) for _ in range(5)] == [4, 2, 1, 1, 1]


def test_a_loop_that_is_late_with_few_parts_gets_fewer_than_these():
    assert judged(allowed(MOST), 2 * LATE_S, used=2) == 1


def test_a_few_late_looks_are_no_late_loop():
    allowance = allowed(4)
    for number in range(LOOKS):
        allowance.look(1.0 if number < LOOKS // 10 else 0.0, 4)
    assert allowance.parts == 4


def test_a_loop_on_time_gets_one_part_more_after_a_while_up_to_the_most():
    allowance = allowed(1)
    assert judged(allowance, 0.0, PATIENCE - 1) == 1
    assert judged(allowance, 0.0) == 2
    assert judged(allowance, 0.0, PATIENCE) == 3
    assert judged(allowance, 0.0, PATIENCE * MOST) == MOST


def test_between_late_and_on_time_nothing_changes():
    assert judged(allowed(3), NEITHER_S, 10 * PATIENCE) == 3


def test_parts_that_nobody_needs_are_not_allowed():
    assert judged(allowed(4), 0.0, 10 * PATIENCE, used=3) == 4


def test_what_was_tried_in_vain_is_tried_again_later_and_later():
    allowance = allowed(1)
    waited = []
    for _ in range(10):
        tried = 0
        while judged(allowance, 0.0) == 1:
            tried += 1
        waited.append(tried + 1)
        assert judged(allowance, 2 * LATE_S) == 1
    assert waited == [min(PATIENCE << failed, MOST_PATIENCE) for failed in range(10)]


def test_a_try_that_holds_makes_the_next_one_soon_again():
    allowance = allowed(1)
    judged(allowance, 0.0, PATIENCE)
    judged(allowance, 2 * LATE_S)
    judged(allowance, 0.0, 2 * PATIENCE)
    assert allowance.parts == 2
    assert judged(allowance, 0.0, PATIENCE) == 3


class Clock:
    """Stands still; says how much later than due every look happens."""

    def __init__(self, late_s):
        self.late_s = late_s

    def __call__(self):
        return self.late_s


def look(room, times=1):
    """What the timer would do, at once."""
    for _ in range(times):
        assert room._next_look is not None
        room._next_look.cancel()
        room._look(0.0)


def crowded(room, late_s, judgements=1):
    """As if the loop had run so late with every place taken."""
    for _ in range(judgements):
        judged(room._allowance, late_s, used=room.taken)


async def test_places_are_given_in_the_order_they_are_asked_for():
    room, got = TransferRoom(2, 2), []

    async def ask(number):
        await room.acquire()
        got.append(number)

    asking = [asyncio.ensure_future(ask(number)) for number in range(6)]
    await settle()
    assert got == [0, 1]
    for given in range(3, 7):
        room.release()
        # Whoever comes now is behind those who wait.
        await settle()
        assert got == list(range(given))
    await asyncio.gather(*asking)
    assert room.taken == 2


async def test_one_stream_alone_has_its_places_however_late_the_loop_is():
    room = TransferRoom(MOST, ALONE)
    with room.stream():
        with room.stream():
            await room.acquire()
            crowded(room, 2 * LATE_S, 4)
            assert room.places == 1
            waits = [asked(room), asked(room)]
            await settle()
            assert [wait.done() for wait in waits] == [False, False]
        await settle()
        assert room.places == ALONE
        assert [wait.done() for wait in waits] == [True, True]


async def test_the_places_alone_are_no_more_than_there_are_at_most():
    assert TransferRoom(2, ALONE).places == 2


async def test_those_who_wait_get_the_places_that_are_added():
    room = TransferRoom(MOST, 1, Clock(0.0))
    with streams(room, 2):
        waits = [asked(room) for _ in range(4)]
        await settle()
        assert room.taken == 1
        for taken in (2, 3):
            look(room, LOOKS * PATIENCE)
            await settle()
            assert room.taken == room.places == taken == sum(wait.done() for wait in waits)
        for wait in waits:
            wait.cancel()


async def test_what_is_taken_beyond_the_places_is_not_judged_and_not_given_again():
    room = TransferRoom(4, 4, Clock(2 * LATE_S))
    with streams(room, 2):
        for _ in range(4):
            await room.acquire()
        look(room, LOOKS * 5)
        assert (room.places, room.taken) == (2, 4)
        waits = asked(room)
        room.release()
        room.release()
        await settle()
        assert not waits.done()
        room.release()
        await settle()
        assert waits.done()
        assert room.taken == 2


async def test_a_cancelled_waiter_hands_on_the_place_it_was_just_given():
    room = TransferRoom(1, 1)
    await room.acquire()
    first, second = asked(room), asked(room)
    await settle()
    room.release()
    first.cancel()
    await settle()
    assert first.cancelled()
    assert second.done()
    assert room.taken == 1


async def test_whoever_comes_behind_a_cancelled_waiter_is_not_forgotten():
    room = TransferRoom(1, 1)
    await room.acquire()
    gone = asked(room)
    await settle()
    gone.cancel()
    room.release()
    late = asked(room)
    await settle()
    assert late.done()
    assert room.taken == 1


async def test_the_loop_is_looked_at_only_while_several_streams_have_parts_under_way():
    room = TransferRoom(MOST, ALONE, Clock(0.0))
    await room.acquire()
    assert room._next_look is None
    with streams(room, 2):
        assert room._next_look is not None
        look(room)
        assert room._next_look is not None
        room.release()
        look(room)
        assert room._next_look is None
        await room.acquire()
        assert room._next_look is not None
    look(room)
    assert room._next_look is None


async def test_the_timer_looks_until_the_last_part_is_stored(monkeypatch):
    monkeypatch.setattr(transfer_room, "LOOK_S", 0.0)
    room, looked = TransferRoom(MOST, ALONE), asyncio.Event()
    monkeypatch.setattr(room, "_clock", lambda: looked.set() or 0.0)
    with streams(room, 2):
        await room.acquire()
        for _ in range(3):
            looked.clear()
            await asyncio.wait_for(looked.wait(), 10)
        room.release()
        await asyncio.sleep(0.01)
        assert room._next_look is None


class Crowd:
    """Takes places, gives them back, changes its mind and the number of places, as chance will have it."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.room = TransferRoom(MOST, ALONE)
        self.held = 0
        self.asking = []
        self.open = []

    async def _ask(self):
        await self.room.acquire()
        self.held += 1

    def come(self):
        self.asking.append(asyncio.ensure_future(self._ask()))

    def change_ones_mind(self):
        """Also of those who have just been given a place."""
        if self.asking:
            self.chance.choice(self.asking).cancel()

    def leave(self):
        if self.held:
            self.held -= 1
            self.room.release()

    def change_the_places(self):
        self.room._allowance.parts = self.chance.randint(1, MOST)
        self.room._give()

    def open_a_stream(self):
        stream = self.room.stream()
        stream.__enter__()
        self.open.append(stream)

    def close_a_stream(self):
        if self.open:
            self.open.pop().__exit__(None, None, None)

    async def do_anything(self):
        before = self.room.taken
        do = [self.come, self.come, self.change_ones_mind, self.leave]
        do += [self.change_the_places, self.open_a_stream, self.close_a_stream]
        self.chance.choice(do)()
        assert self.room.taken <= max(before, self.room.places) <= MOST
        if self.chance.random() < 0.2:
            await asyncio.sleep(0)
        if self.chance.random() < 0.1:
            await self.look_round()

    async def look_round(self):
        """Once all have been told: a place is held by somebody, and nobody waits while there is one."""
        await settle()
        self.asking = [each for each in self.asking if not each.done()]
        assert self.room.taken == self.held
        assert not self.asking or self.held >= self.room.places


@pytest.mark.parametrize("seed", range(40))
async def test_no_place_is_lost_and_none_given_twice_whatever_is_cancelled(seed):
    crowd = Crowd(seed)
    for _ in range(400):
        await crowd.do_anything()
    await crowd.look_round()
    while crowd.held:
        crowd.leave()
        await crowd.look_round()
    assert (crowd.asking, crowd.room.taken) == ([], 0)
    while crowd.open:
        crowd.close_a_stream()
    assert crowd.room.streams == 0
