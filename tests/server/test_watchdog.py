"""The watchdog: a loop that is stuck is seen from outside it."""

import asyncio
import logging
import time

from tests.kit.waiting import until
from tests.server.edge import UNARY, answer_info, edge

LOGGER = "registry_grpc.loop"


def told(caplog):
    """What the watchdog said: another test of the process may have turned up the level of others."""
    return [record for record in caplog.records if record.name == LOGGER]


async def test_a_blocked_loop_is_logged_with_where_it_is_stuck_and_measured(tmp_path, caplog):
    async def block(request, context):
        time.sleep(1.5)  # noqa: ASYNC251 -- what must never happen
        return await answer_info(request, context)

    async with edge(tmp_path, unary=block, loop_stall_s=0.2) as it:
        with caplog.at_level(logging.WARNING, logger=LOGGER):
            await it.raw(UNARY)
            assert await it.metric("registry_event_loop_stalls_total") == 1
            await asyncio.to_thread(until, lambda: len(told(caplog)) == 2, 5)
        stuck, again = told(caplog)
        assert any(frame.endswith(" block") for frame in stuck.stack)
        assert again.stuck_s >= 0.2
        lag = it.server.metrics.registry.get_sample_value
        await asyncio.to_thread(until, lambda: lag("registry_event_loop_lag_seconds") < 0.1, 5)


async def test_a_loop_that_is_merely_busy_is_not_stuck(tmp_path, caplog):
    async with edge(tmp_path, loop_stall_s=0.5) as it:
        with caplog.at_level(logging.WARNING, logger=LOGGER):
            ends = time.monotonic() + 1.5
            while time.monotonic() < ends:
                await it.raw(UNARY)
        assert not told(caplog)
