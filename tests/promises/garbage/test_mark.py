"""A store that is another database's: nothing is deleted from it, by whom and whatever, until it is adopted."""

import pytest

from registry_grpc.domain.calls import Principal
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.garbage import MARKER_KEY
from registry_grpc.storage.sql import SqlStore
from registry_grpc.usecases.store_mark import FOREIGN, NO_MARK
from tests.contract.store.builders import at_once
from tests.promises.garbage.place import DAY, GRACE, MINE, Place, new_content, reason_of
from tests.promises.tenants.stores import call


@pytest.fixture
def other(place, tmp_path):
    """Another database on the same store."""
    store = SqlStore(f"sqlite:///{tmp_path / 'other' / 'registry.db'}", auto_upgrade=True, pool_size=8)
    made = Place(store, place.artifacts)
    made.set_up()
    yield made
    store.close()


def frozen(work):
    with pytest.raises(RegistryError) as caught:
        work()
    assert caught.value.reason is Reason.GARBAGE_FROZEN
    return caught.value.facts["found"]


def late(*places):
    """So late that everything may go."""
    for place in places:
        place.store.clock_offset += 3 * GRACE
    places[0].artifacts.offset += 3 * GRACE


def test_the_first_run_marks_the_store_and_a_dry_run_does_not(place):
    place.collect.preview()
    assert place.artifacts.head(MARKER_KEY) is None
    place.collect()
    mark = b"".join(place.artifacts.read(MARKER_KEY, 0, 1000))
    assert place.store.registry_uid.encode() in mark
    place.collect()
    assert b"".join(place.artifacts.read(MARKER_KEY, 0, 1000)) == mark


@pytest.mark.promise("P08", "mark")
def test_another_database_deletes_nothing(place, other):
    place.ready(new_content())
    place.orphan()
    place.collect()
    keys = place.stored()
    for _ in range(3):
        late(other, place)
        assert place.store.registry_uid in frozen(other.collect)
        assert place.store.registry_uid in frozen(other.collect.preview)
    assert place.stored() == keys
    assert other.told.is_frozen
    # It is its own bytes that it may not delete either: an ended upload stays.
    upload = other.begin(other.draft(), b"x" * 10, declared=False)
    session = other.writer.open(upload.name, MINE)
    other.artifacts.put(upload.key, [b"x" * 10], 10, {"upload": "u"})
    late(other, place)
    other.expire()
    assert other.artifacts.head(upload.key) is not None
    del session
    # Reads and uploads go on.
    other.ready(new_content())
    place.check()


@pytest.mark.promise("P08", "mark")
def test_a_fresh_database_at_a_full_store_without_a_mark_deletes_nothing(place, other):
    place.ready(new_content())
    for _ in range(3):
        late(other, place)
        assert frozen(other.collect) == FOREIGN
    assert place.artifacts.head(MARKER_KEY) is None
    place.collect()
    place.check()


@pytest.mark.promise("P08", "mark")
def test_a_store_that_lost_its_mark_or_a_database_of_a_new_epoch_deletes_nothing(place):
    place.ready(new_content())
    place.collect()
    place.artifacts.inside.delete(MARKER_KEY)
    assert frozen(place.collect) == NO_MARK
    place.collect(adopt_store=True)

    place.store.write(lambda unit: unit.session.connection.exec_driver_sql("UPDATE registry SET epoch = 2"))
    assert frozen(place.collect).endswith("epoch 1")
    assert place.collect(adopt_store=True).collected.count == 0
    place.collect()
    assert not place.told.is_frozen
    place.check()


def test_adopting_moves_the_store_to_the_other_database_and_says_so_in_the_audit_trail(place, other):
    place.collect()
    other.collect(Principal("user:ada", method="oidc"), adopt_store=True)
    other.collect()
    assert other.store.registry_uid in frozen(place.collect)
    told = other.rows("SELECT actor, authentication, outcome FROM audit")
    assert ("user:ada", "oidc", "ADOPTED the artifact store") in told


def test_a_mark_nobody_can_read_freezes(place):
    place.artifacts.inside.put(MARKER_KEY, [b"\xff{"], 2, {"kind": "mark"})
    assert frozen(place.collect) == "a mark nobody can read"


def test_of_two_databases_that_mark_an_empty_store_at_once_one_wins(place, other):
    answers = at_once(2, lambda which: (place, other)[which].collect())
    assert sum(isinstance(answer, RegistryError) for answer in answers) == 1
    loser = other if isinstance(answers[1], RegistryError) else place
    winner = place if loser is other else other
    winner.collect()
    assert winner.store.registry_uid in frozen(loser.collect)


def test_what_a_refused_run_would_have_removed_goes_after_adoption(place):
    version = place.ready(new_content())
    place.collect()
    place.delete(call(), version, "")
    place.purge(call(), version, "")
    place.artifacts.inside.delete(MARKER_KEY)
    place.move(GRACE + DAY)
    assert reason_of(place.collect) is Reason.GARBAGE_FROZEN
    assert len(place.stored()) == 1
    place.collect(adopt_store=True)
    assert place.stored() == set()
