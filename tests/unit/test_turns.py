"""Those who wait for news are woken one by one, and none is forgotten."""

import asyncio
import time
from itertools import pairwise

import pytest

from registry_grpc.watch.turns import Turns

MANY = 40


async def test_all_are_woken_and_others_get_their_turn_in_between():
    turns, woken, seen = Turns(), [], []

    async def wait(number):
        await turns.wait(30)
        woken.append(number)

    async def other():
        while len(woken) < MANY:
            seen.append(len(woken))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for number in range(MANY):
            tasks.create_task(wait(number))
        await asyncio.sleep(0)
        turns.wake()
        tasks.create_task(other())
    assert woken == list(range(MANY)), "who waits longest comes first"
    steps = [after - before for before, after in pairwise(seen)]
    assert max(steps) == 1


async def test_who_comes_after_the_news_waits_for_the_next():
    turns = Turns()
    first = asyncio.create_task(turns.wait(30))
    await asyncio.sleep(0)
    turns.wake()
    second = asyncio.create_task(turns.wait(30))
    await asyncio.sleep(0.01)
    assert (first.done(), second.done()) == (True, False)
    turns.wake()
    await second


async def test_nobody_waits_longer_than_he_wants_to():
    turns, began = Turns(), time.monotonic()
    await turns.wait(0.05)
    assert 0.04 < time.monotonic() - began < 5


async def test_news_while_some_are_still_to_be_woken_reaches_them_once_and_the_new_ones_too():
    turns = Turns()
    waiting = [asyncio.create_task(turns.wait(30)) for _ in range(MANY)]
    await asyncio.sleep(0)
    turns.wake()
    later = [asyncio.create_task(turns.wait(30)) for _ in range(MANY)]
    await asyncio.sleep(0)
    turns.wake()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting, *later)


async def test_who_left_holds_up_nobody_and_leaves_nothing():
    turns = Turns()
    waiting = [asyncio.create_task(turns.wait(30)) for _ in range(MANY)]
    await asyncio.sleep(0)
    for task in waiting[:20]:
        task.cancel()
    turns.wake()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting[20:])
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    assert (len(turns._waiting), len(turns._due)) == (0, 0)
