from datetime import timedelta

import pytest

from registry_grpc.domain.calls import Principal
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from tests.contract.store.builders import all_events, at_once, call, model

DAY = timedelta(hours=24)


def insert(unit, model_id="m"):
    made = model(model_id, revision=unit.advance("tests"))
    unit.models.insert(made)
    unit.record(Action.CREATED, made)
    return made


def encode(made):
    return made.uid.encode()


def test_a_repeated_call_gets_the_first_answer_and_does_nothing(store):
    first = store.write(insert, call("r", encode=encode))
    again = store.write(insert, call("r", encode=encode))
    assert again.replay == first.get().uid.encode()
    assert (again.revision, again.value, again.events) == (first.revision, None, ())
    assert len(all_events(store)) == 2


def test_without_a_request_id_nothing_is_remembered(store):
    store.write(lambda unit: insert(unit, "a"), call())
    assert store.write(lambda unit: insert(unit, "b"), call()).replay is None


@pytest.mark.parametrize("other", [{"body_hash": b"other"}, {"method": "Tests.Other"}])
def test_a_request_id_used_for_another_request_is_refused(store, other):
    store.write(insert, call("r"))
    with pytest.raises(RegistryError) as caught:
        store.write(insert, call("r", **other))
    assert caught.value.reason is Reason.REQUEST_ID_REUSED
    assert caught.value.facts == {"requestId": "r", "method": "Tests.Change"}


def test_request_ids_of_different_principals_do_not_meet(store):
    store.write(lambda unit: insert(unit, "a"), call("r"))
    other = store.write(lambda unit: insert(unit, "b"), call("r", principal=Principal("user:bob")))
    assert other.replay is None


def test_twins_at_the_same_time_have_one_effect_and_one_answer(store):
    done = at_once(16, lambda _: store.write(insert, call("r", encode=encode)))
    values = [one for one in done if one.value is not None]
    assert len(values) == 1
    assert {one.replay for one in done} == {None, values[0].value.uid.encode()}
    assert {one.revision for one in done} == {2}
    assert len(all_events(store)) == 2


def test_a_failed_call_may_be_tried_again_under_the_same_request_id(store):
    def fail(unit):
        raise RegistryError(Reason.STAGE_MOVED, "no")

    with pytest.raises(RegistryError, match="no"):
        store.write(fail, call("r"))
    assert store.write(insert, call("r")).replay is None


def test_an_answer_is_forgotten_after_a_day(store):
    store.write(lambda unit: insert(unit, "a"), call("r"))
    store.clock_offset = DAY - timedelta(minutes=1)
    assert store.write(lambda unit: insert(unit, "b"), call("r")).replay is not None
    store.clock_offset = DAY
    assert store.write(lambda unit: insert(unit, "b"), call("r")).replay is None
    assert store.write(lambda unit: insert(unit, "c"), call("r")).replay is not None


def test_expired_answers_can_be_dropped_in_bulk(store):
    store.write(lambda unit: insert(unit, "a"), call("a"))
    store.write(lambda unit: insert(unit, "b"), call("b"))
    assert store.expire_idempotency() == 0
    store.clock_offset = DAY
    assert store.expire_idempotency() == 2
    assert store.expire_idempotency() == 0


def test_an_answer_that_cannot_be_encoded_undoes_the_change(store):
    def refuse(_):
        raise TypeError

    with pytest.raises(TypeError):
        store.write(insert, call("r", encode=refuse))
    assert len(all_events(store)) == 1
