"""What becomes of deliveries: order, retries by the store's clock, and their ends."""

import asyncio
import itertools
from collections import defaultdict
from datetime import timedelta

import pytest

from registry_grpc.domain.webhooks import GONE, SCHEDULE, Attempt, DeliveryState
from registry_grpc.usecases.deliveries import ForgetDeliveries
from registry_grpc.usecases.events import CompactEvents
from tests.kit.receiver import receiving
from tests.promises.webhooks.world import World, until

MODELS = ("a", "b", "c")


def by_model(received):
    found = defaultdict(list)
    for each in received:
        found[each.event["subject"].rpartition("/")[2]].append(int(each.event["data"]["revision"]))
    return found


def attempts(world, name):
    """How often each delivery was tried that was tried at all."""
    return [len(each.attempts) for each in world.deliveries(name) if each.attempts]


async def test_a_receiver_that_was_down_for_an_hour_gets_all_of_it_in_order(world):
    with receiving(503) as receiver:
        name = world.webhook(receiver.url)
        expected = defaultdict(list)
        for model in MODELS:
            expected[model].append(world.model(model))
        async with world.working():
            for turn, minutes in enumerate((0, 1, 6, 53), 1):
                world.later(minutes=minutes)
                for model in MODELS:
                    expected[model].append(world.touch(model, f"{minutes}"))
                # Only the oldest of each line is tried: one more attempt for each model.
                await until(lambda turn=turn: attempts(world, name) == [turn] * len(MODELS))
            assert receiver.taken() == []
            assert {int(each.event["data"]["revision"]) for each in receiver.received} == {
                revisions[0] for revisions in expected.values()
            }
            receiver.answer = 204
            world.later(hours=3)
            await until(lambda: len(receiver.taken()) >= sum(map(len, expected.values())))
        assert by_model(receiver.taken()) == expected
        assert len({each.id for each in receiver.taken()}) == len(receiver.taken())
        # Each try of a delivery has its id.
        ids = defaultdict(set)
        for each in receiver.received:
            ids[each.event["id"]].add(each.id)
        assert {len(each) for each in ids.values()} == {1}


async def test_a_model_whose_deliveries_fail_holds_up_no_other(world):
    def answer(_headers, body):
        return 500 if '/models/bad"' in body else 204

    with receiving(answer) as receiver:
        name = world.webhook(receiver.url)
        async with world.working():
            for model in ("bad", "good"):
                world.model(model)
            for number in range(5):
                for model in ("bad", "good"):
                    world.touch(model, f"{number}")
            await until(lambda: len(receiver.taken()) == 6)
        assert set(by_model(receiver.taken())) == {"good"}
        assert world.get(name).progress.pending == 6


async def test_a_dead_one_lets_its_line_go_on_and_can_be_delivered_again(world):
    with receiving(500) as receiver:
        name = world.webhook(receiver.url)
        first = world.model("m")
        async with world.working():
            for attempt in range(1, len(SCHEDULE) + 1):
                await until(lambda attempt=attempt: attempts(world, name) == [attempt])
                world.later(hours=30)
            assert [each.state for each in world.deliveries(name)] == [DeliveryState.DEAD]
            progress = world.get(name).progress
            assert (progress.dead, progress.pending) == (1, 0)
            assert "HTTP 500" in progress.last_error
            receiver.answer = 204
            second = world.touch("m", "later")
            await until(lambda: len(receiver.taken()) == 1)
            assert by_model(receiver.taken()) == {"m": [second]}
            dead = receiver.received[0].id
            assert world.redeliver(name) == 1
            assert world.redeliver(name) == 0
            await until(lambda: len(receiver.taken()) == 2)
        assert receiver.taken()[1].id == dead
        assert by_model(receiver.taken()) == {"m": [second, first]}
        progress = world.get(name).progress
        assert (progress.dead, progress.pending, progress.last_error) == (0, 0, "")


async def test_what_was_delivered_can_be_delivered_again_under_its_id(world):
    with receiving() as receiver:
        name = world.webhook(receiver.url)
        world.model("m")
        async with world.working():
            await until(lambda: world.get(name).progress.last_success_time)
            assert world.redeliver(name, world.deliveries(name)[0].name) == 1
            await until(lambda: len(receiver.taken()) == 2)
        first, second = receiver.taken()
        assert (first.id, first.body) == (second.id, second.body)


async def test_a_receiver_that_is_gone_is_sent_nothing_more(world):
    with receiving(410) as receiver:
        name = world.webhook(receiver.url)
        world.model("m")
        async with world.working():
            await until(lambda: world.get(name).disabled)
            assert world.get(name).disable_reason == GONE
            assert [each.state for each in world.deliveries(name)] == [DeliveryState.DEAD]
            event = world.store.read(lambda reader: reader.feed.at(reader.feed.head()))[-1]
            assert (event.after.name, event.after.disabled, event.actor) == (name, True, "system:registry")
            missed = [world.touch("m", "missed"), world.model("n")]
            world.later(hours=1)
            await asyncio.sleep(1.5)
            assert len(receiver.received) == 1
            receiver.answer = 204
            world.change(name, disabled=False)
            await until(lambda: len(receiver.taken()) == 2)
        assert world.get(name).disable_reason == ""
        assert sorted(itertools.chain(*by_model(receiver.taken()).values())) == sorted(missed)


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_heeded(world, status):
    with receiving(status) as receiver:
        receiver.headers["retry-after"] = "7200"
        name = world.webhook(receiver.url)
        world.model("m")
        async with world.working():
            await until(lambda: world.deliveries(name) and world.deliveries(name)[0].attempts)
            tried = world.deliveries(name)[0]
            assert tried.next_attempt_time - tried.attempts[0].time >= timedelta(hours=2)
            world.later(hours=1)
            await asyncio.sleep(1.5)
            assert len(receiver.received) == 1
            world.later(hours=1, minutes=1)
            await until(lambda: len(receiver.received) == 2)


async def test_deliveries_that_ended_are_kept_for_a_week(world):
    with receiving() as receiver:
        name = world.webhook(receiver.url)
        world.model("m")
        async with world.working():
            await until(lambda: world.get(name).progress.last_success_time)
        world.later(days=6)
        assert ForgetDeliveries(world.store)() == 0
        world.later(days=2)
        assert ForgetDeliveries(world.store)() == 1
        assert world.deliveries(name) == []


def test_events_are_kept_until_they_are_in_line_for_every_enabled_webhook(world):
    name = world.webhook("https://8.8.8.8/")
    for model in MODELS:
        world.model(model)
    world.later(days=30)
    forget = CompactEvents(world.store, timedelta(days=7))
    begun = world.get(name).progress.cursor
    assert forget() == begun
    assert forget() == 0
    world.change(name, disabled=True)
    assert forget() > 0


async def test_an_event_is_put_in_line_once_whoever_does_it(world):
    name = world.webhook("https://8.8.8.8/")
    revisions = [world.model(model) for model in MODELS]
    await asyncio.gather(*(asyncio.to_thread(world.dispatch) for _ in range(4)))
    assert sorted(each.event_revision for each in world.deliveries(name)) == revisions


async def test_two_workers_claim_nothing_twice(world):
    world.webhook("https://8.8.8.8/")
    for number in range(12):
        world.model(f"m{number}")
    world.dispatch()
    looks = await asyncio.gather(*(asyncio.to_thread(world.line.look, {}) for _ in range(4)))
    claimed = [each.delivery.id for look in looks for each in look.claimed]
    assert claimed
    assert len(claimed) == len(set(claimed))


async def test_what_a_worker_left_behind_is_sent_by_the_next_when_its_claim_is_over(world):
    with receiving() as receiver:
        name = world.webhook(receiver.url)
        world.model("m")
        world.dispatch()
        (left,) = world.line.look({}).claimed
        async with world.working():
            await asyncio.sleep(1.5)
            assert receiver.received == []
            world.later(seconds=21)
            await until(receiver.taken)
            await until(lambda: world.get(name).progress.pending == 0)
        assert receiver.taken()[0].id == left.delivery.id
        # The one that comes back is too late to change anything.
        late = await world.sender.send(left.webhook, left.delivery, left.now)
        assert world.line.settle(left, late) is None
        assert len(world.deliveries(name)[0].attempts) == 1


async def test_only_so_many_are_open_at_once(store):
    world = World(store)
    for _ in range(2):
        world.webhook("https://8.8.8.8/")
    for number in range(30):
        world.model(f"m{number}")
    world.dispatch()
    first = world.line.look({}).claimed
    counted = defaultdict(int)
    for each in first:
        counted[each.webhook.uid] += 1
    assert set(counted.values()) == {4}
    assert not world.line.look(counted).claimed


async def test_filters_choose_what_is_sent(world):
    with receiving() as receiver:
        world.webhook(receiver.url, models=("b",), actions=("updated",))
        for model in MODELS:
            world.model(model)
        revisions = [world.touch(model, "x") for model in MODELS]
        async with world.working():
            await until(receiver.taken)
        assert by_model(receiver.taken()) == {"b": [revisions[1]]}
        assert receiver.taken()[0].event["type"] == "dev.registry-grpc.model.updated.v1"


def test_whoever_comes_late_changes_nothing(world):
    name = world.webhook("https://8.8.8.8/")
    world.model("m")
    world.dispatch()
    (late,) = world.line.look({}).claimed
    world.later(seconds=21)
    (present,) = world.line.look({}).claimed
    taken = Attempt(late.now, timedelta(seconds=1), 204)
    assert world.line.settle(late, taken) is None
    assert world.deliveries(name)[0].state is DeliveryState.PENDING
    assert world.line.settle(present, taken).state is DeliveryState.DELIVERED
