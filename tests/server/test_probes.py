"""What readiness says of a dependency: slow is not gone, and a fault is told as the fault it is."""

import asyncio

from registry_grpc.observability import health
from registry_grpc.observability.health import Health


async def refuse():
    raise TimeoutError("the feed heard nothing for 3.0 s")


async def hang():
    await asyncio.Event().wait()


async def take_its_time():
    await asyncio.sleep(1.2)


async def test_a_dependency_that_answers_slowly_leaves_the_server_ready():
    it = Health({"database": take_its_time})
    await it.poll()
    assert it.ready


async def test_a_probe_that_raises_a_timeout_of_its_own_is_quoted():
    it = Health({"feed": refuse})
    await it.poll()
    assert it.failing == {"feed": "TimeoutError: the feed heard nothing for 3.0 s"}


async def test_a_dependency_that_does_not_answer_makes_the_server_unready(monkeypatch):
    monkeypatch.setattr(health, "PROBE_TIMEOUT_S", 0.2)
    it = Health({"database": hang})
    async with asyncio.timeout(5):
        await it.poll()
    assert it.failing == {"database": "no answer within 0.2 s"}
