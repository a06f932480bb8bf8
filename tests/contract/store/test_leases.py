from datetime import timedelta

from tests.contract.store.builders import at_once

TTL = timedelta(seconds=10)


def test_a_lease_has_one_holder_until_it_expires(store):
    assert store.acquire_lease("leader", "a", TTL) == 1
    assert store.acquire_lease("leader", "b", TTL) is None
    assert store.acquire_lease("other", "b", TTL) == 1
    store.clock_offset = TTL + timedelta(seconds=1)
    assert store.acquire_lease("leader", "b", TTL) == 2
    assert store.acquire_lease("leader", "a", TTL) is None


def test_renewing_keeps_the_epoch_also_after_expiry(store):
    assert store.acquire_lease("leader", "a", TTL) == 1
    assert store.acquire_lease("leader", "a", TTL) == 1
    store.clock_offset = 2 * TTL
    assert store.acquire_lease("leader", "a", TTL) == 1


def test_a_released_lease_is_free_at_once_and_the_epoch_rises_only_for_another_holder(store):
    store.acquire_lease("leader", "a", TTL)
    store.release_lease("leader", "b")
    assert store.acquire_lease("leader", "b", TTL) is None
    store.release_lease("leader", "a")
    assert store.acquire_lease("leader", "a", TTL) == 1
    store.release_lease("leader", "a")
    assert store.acquire_lease("leader", "b", TTL) == 2


def test_of_many_who_want_a_lease_one_gets_it(store):
    epochs = at_once(8, lambda number: store.acquire_lease("leader", f"holder{number}", TTL))
    assert sorted(epochs, key=str) == [1, *[None] * 7]
