"""Who used what: added up by day, bounded, listed in order, forgotten after its time."""

from datetime import timedelta

import pytest

from registry_grpc.domain.consumers import Counted, Use
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.usecases.consumers import KEEP, AddConsumers, ExpireConsumers, ListConsumers
from registry_grpc.usecases.deployment_upkeep import forget_deployments
from tests.contract.store.builders import at_once
from tests.kit.running import DAY, World


@pytest.fixture
def world(store):
    return World(store)


def add(world, *counted):
    AddConsumers(world.store)([Counted(*one) for one in counted])


def listed(world, version=None, first=None, last=None, limit=1000):
    found, after = [], None
    while page := ListConsumers(world.store)(
        world.model.name, version, first=first, last=last, after=after, limit=limit
    ):
        found += page
        one = page[-1]
        after = (one.day, one.count, one.principal, one.version.number, one.use.value)
    return found


def test_uses_add_up_by_day_without_a_revision(world):
    one, other = world.ready(), world.ready()
    before = world.revision()
    add(world, (one.uid, "user:ada", Use.RESOLVED, 3), (one.uid, "user:bob", Use.RESOLVED, 9))
    add(world, (one.uid, "user:ada", Use.RESOLVED, 4), (one.uid, "user:ada", Use.DOWNLOADED, 1))
    world.pass_time(DAY)
    add(world, (other.uid, "user:ada", Use.RESOLVED, 1), ("no-such-version", "user:ada", Use.RESOLVED, 1))
    assert world.revision() == before
    found = [(row.principal, row.version.number, row.use, row.count) for row in listed(world)]
    assert found == [
        ("user:ada", 2, Use.RESOLVED, 1),
        ("user:bob", 1, Use.RESOLVED, 9),
        ("user:ada", 1, Use.RESOLVED, 7),
        ("user:ada", 1, Use.DOWNLOADED, 1),
    ]
    today = world.store.now().date()
    assert [row.day for row in listed(world)] == [today.isoformat(), *[(today - DAY).isoformat()] * 3]
    assert [row.count for row in listed(world, version=one.name)] == [9, 7, 1]
    assert [row.count for row in listed(world, first=today)] == [1]
    assert [row.count for row in listed(world, last=today - DAY)] == [9, 7, 1]


def test_pages_are_whole_and_more_rows_than_one_statement_takes_are_added(world):
    one = world.ready()
    add(world, *((one.uid, f"user:u{number}", Use.RESOLVED, number % 7 + 1) for number in range(1203)))
    found = listed(world, limit=100)
    assert len({row.principal for row in found}) == len(found) == 1203
    assert [row.count for row in found] == sorted((row.count for row in found), reverse=True)


def test_an_end_before_the_beginning_and_an_absent_model_are_refused(world):
    today = world.store.now().date()
    with pytest.raises(RegistryError, match="before first_day"):
        listed(world, first=today, last=today - DAY)
    with pytest.raises(RegistryError) as caught:
        ListConsumers(world.store)(world.model_name("none"), None, first=None, last=None, after=None, limit=1)
    assert caught.value.reason is Reason.MODEL_NOT_FOUND


def test_days_are_forgotten_after_their_time_and_with_their_model(world):
    one = world.ready()
    add(world, (one.uid, "user:ada", Use.RESOLVED, 1))
    expire = ExpireConsumers(world.store)
    world.pass_time(KEEP)
    assert expire() == 0
    world.pass_time(DAY)
    add(world, (one.uid, "user:bob", Use.RESOLVED, 1))
    assert expire() == 1
    assert [row.principal for row in listed(world, first=world.store.now().date() - 2 * KEEP)] == ["user:bob"]
    world.store.write(lambda unit: (unit.advance("tests"), forget_deployments(unit, world.model)))
    assert listed(world) == []


def test_replicas_that_write_the_same_rows_at_once_lose_none(world):
    ones = [world.ready() for _ in range(3)]

    def write(number):
        for _ in range(5):
            add(world, *((one.uid, "user:ada", Use.RESOLVED, 1) for one in (ones if number % 2 else ones[::-1])))

    assert at_once(6, write) == [None] * 6
    assert {row.version.number: row.count for row in listed(world)} == {1: 30, 2: 30, 3: 30}


def test_a_count_of_a_day_is_about_the_time_it_was_written(world):
    one = world.ready()
    add(world, (one.uid, "user:ada", Use.RESOLVED, 1))
    [row] = listed(world)
    assert abs(row.last_time - world.store.now()) < timedelta(minutes=1)
