"""`registry.watch`: an iterator that outlives servers."""

import threading

import pytest

from registry_grpc.client import InvalidArgument, NotFound, Registry
from registry_grpc.client.watch import EVERYTHING, Kind
from tests.kit.waiting import until
from tests.kit.watching import Follower


def created(follower):
    """Numbers of the versions that were created, in the order they were told."""
    return [event.version.number for event in follower.events(resource_type="ModelVersion", action=1)]


def test_a_stage_is_told_as_it_stands_and_as_it_moves(registry, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"one")
    first = registry.push("followed", tmp_path / "w.bin")
    registry.promote(first.location, "staging")
    with Follower(registry.watch("followed@staging")) as follower:
        (tmp_path / "w.bin").write_bytes(b"two")
        second = registry.push("followed", tmp_path / "w.bin")
        registry.promote(second.location, "staging")
        until(follower.events, 20)
        (stated,) = [change.event for change in follower.changes if change.kind is Kind.STATE]
    assert stated.stage.version == first.name
    assert [event.stage.version for event in follower.events()] == [second.name]
    assert {event.resource_type for event in follower.events()} == {"Stage"}


def test_a_watch_goes_on_over_a_killed_server_and_misses_and_repeats_nothing(server, registry):
    registry.create_model("survivor")
    with Follower(registry.watch("survivor", types=["ModelVersion"])) as follower:
        for _ in range(3):
            for _ in range(5):
                registry.create_version("survivor")
            server.kill()
            server.start()
        registry.create_version("survivor")
        until(lambda: len(created(follower)) >= 16, 30)
        assert follower.error is None
    assert created(follower) == list(range(1, 17))


def test_a_token_goes_on_where_the_change_it_came_with_was_dealt_with(registry):
    registry.create_model("handed-on")
    with Follower(registry.watch("handed-on", types=["ModelVersion"])) as follower:
        for _ in range(3):
            registry.create_version("handed-on")
        until(lambda: len(created(follower)) == 3, 20)
    second = [change for change in follower.changes if change.kind is Kind.EVENT][1]
    registry.create_version("handed-on")
    with registry.watch("handed-on", types=["ModelVersion"], resume_token=second.resume_token) as again:
        assert [next(again).event.version.number for _ in range(2)] == [3, 4]


def test_everything_of_every_project_can_be_watched(registry):
    with Follower(registry.watch(EVERYTHING, types=["Project"])) as follower:
        registry.create_project("watched-too")
        until(lambda: follower.events(name="projects/watched-too"), 20)


def test_what_does_not_pass_by_itself_is_raised(registry):
    with pytest.raises(InvalidArgument, match="never changes"):
        registry.watch("fraud/7")
    with pytest.raises(NotFound), registry.watch("absent") as watch:
        next(watch)


def test_closing_lets_a_reader_go_that_waits_for_a_server_which_is_not_there():
    watch = Registry("127.0.0.1:1", token="t", insecure=True).watch("any")
    reader = threading.Thread(target=list, args=(watch,), daemon=True)
    reader.start()
    watch.close()
    reader.join(10)
    assert not reader.is_alive()
