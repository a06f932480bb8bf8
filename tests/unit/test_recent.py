"""The newest events in memory: contiguous, bounded, without heavy texts; and a watch that fell behind them."""

from datetime import UTC, datetime

import pytest

from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.events import Action, Event
from registry_grpc.domain.metadata import ModelCard
from registry_grpc.domain.names import ProjectName, VersionName
from registry_grpc.domain.resources import Project, Version
from registry_grpc.domain.resumption import Position, fingerprint_of
from registry_grpc.watch.recent import Recent, by_revision, light

NOW = datetime(2026, 11, 21, tzinfo=UTC)
UID = "01234567-89ab-4cde-8f01-23456789abcd"


def event(revision, index=0, after=None, actor="user:a"):
    project = Project(uid="p", name=ProjectName("p"), create_time=NOW, update_time=NOW)
    return Event(
        revision=revision,
        index=index,
        action=Action.UPDATED,
        after=after or project,
        actor=actor,
        request_id="",
        time=NOW,
    )


def test_what_came_in_any_order_is_handed_out_in_order_and_once():
    recent = Recent()
    recent.apply([event(2)])
    recent.apply([event(1, 0), event(1, 1)])
    recent.apply([event(2)])
    assert [(one.number, len(one.events)) for one in recent.after(0, 2, 10)] == [(1, 2), (2, 1)]


def test_nothing_beyond_a_gap_is_handed_out():
    recent = Recent()
    recent.apply([event(1), event(3)])
    assert [one.number for one in recent.after(0, 3, 10)] == [1]
    assert recent.after(1, 3, 10) is None
    recent.apply([event(2)])
    assert [one.number for one in recent.after(1, 3, 10)] == [2, 3]


def test_it_hands_out_no_more_than_is_complete_and_than_is_asked_for():
    recent = Recent()
    recent.apply([event(number) for number in range(1, 9)])
    assert [one.number for one in recent.after(0, 3, 10)] == [1, 2, 3]
    assert [one.number for one in recent.after(3, 8, 2)] == [4, 5]


def test_the_oldest_goes_first_and_does_not_come_back():
    recent = Recent(kept_events=3)
    recent.apply([event(number) for number in range(1, 6)])
    assert recent.after(1, 5, 10) is None
    assert [one.number for one in recent.after(2, 5, 10)] == [3, 4, 5]
    recent.apply([event(1)])
    assert recent.after(0, 5, 10) is None


def test_a_model_card_is_not_kept():
    version = Version(
        uid="v",
        model_uid="m",
        name=VersionName("p", "m", 1),
        model_card="x" * 500_000,
        card=ModelCard(limitations="y"),
        description="y",
        create_time=NOW,
        update_time=NOW,
    )
    kept = light(event(1, after=version)).after
    assert (kept.model_card, kept.card, kept.description, kept.name) == ("", None, "", version.name)


def test_a_position_survives_its_token_and_a_bad_token_is_refused():
    position = Position(UID, 3, 2**40, fingerprint_of([event(1)]))
    assert Position.parse(str(position)) == position
    for text in ("", "x", str(position)[:-4], "A" * len(str(position)), str(position) + "AAAA", "ü"):
        with pytest.raises(RegistryError) as refused:
            Position.parse(text)
        assert refused.value.reason == "INVALID_FIELD"


def test_another_history_has_another_fingerprint():
    same = fingerprint_of([event(1, 0), event(1, 1)])
    assert fingerprint_of([event(1, 0), event(1, 1)]) == same
    assert fingerprint_of([event(1, 0)]) != same
    assert fingerprint_of([event(1, 0), event(1, 1, actor="user:b")]) != same


def test_events_are_grouped_by_revision():
    assert [(one.number, len(one.events)) for one in by_revision([event(1), event(1, 1), event(4)])] == [(1, 2), (4, 1)]
