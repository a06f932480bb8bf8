"""What the controller decides, from values alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from registry_grpc.controller.memory import HISTORY, Condition, Failed, Memory, merged
from registry_grpc.controller.pins import Pin
from registry_grpc.controller.plan import Choice, Fault, choose, settle
from registry_grpc.controller.recorder import news
from registry_grpc.controller.rollouts import Progress, Rollout
from registry_grpc.controller.spec import parse_spec

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AWAY = Fault("RegistryUnavailable", "nobody answers", passing=True)
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud"}
RUNNING, DONE = Rollout(Progress.RUNNING, "1 of 2"), Rollout(Progress.DONE)
BROKEN = Rollout(Progress.FAILED, "pods crash")


def pin(version, digest="a", model="fraud"):
    found = f"sha256:{digest * 64}"
    return Pin(version, found, f"mreg://default/{model}/{version}@{found}")


def spec(**more):
    return parse_spec({"model": "fraud", "stage": "production", "target": TARGET} | more)


def settled(memory, found, runs=DONE, *, fault=None, generation=1, now=NOW, **more):
    wanted = spec(**more)
    choice = choose(wanted, generation, memory, found, now)
    return settle(wanted, generation, memory, found=found, choice=choice, fault=fault, rollout=runs, now=now)


def reasons(memory):
    return {each["type"]: (each["status"], each["reason"]) for each in memory.conditions}


def serving(*versions):
    """A memory in which these came in, one after another, and ran."""
    memory = Memory()
    for version in versions:
        memory = settled(memory, pin(version)).memory
    return memory


def test_the_first_version_comes_in():
    assert choose(spec(), 1, Memory(), pin(1), NOW) == Choice(pin(1), is_new=True)


def test_what_is_in_force_is_brought_in_again_without_being_new():
    assert choose(spec(), 1, serving(1), pin(1), NOW) == Choice(pin(1))


def test_while_the_registry_is_away_what_is_in_force_stays():
    choice = choose(spec(), 1, serving(1), AWAY, NOW)
    assert (choice.pin, choice.held) == (pin(1), AWAY)
    after = reasons(settled(serving(1), AWAY).memory)
    assert after["Ready"] == ("Unknown", "RegistryUnavailable")
    assert after["RegistryReachable"] == ("False", "RegistryUnavailable")
    assert after["Resolved"] == ("Unknown", "RegistryUnavailable")
    assert after["Applied"] == ("True", "Applied")


def test_with_nothing_in_force_and_the_registry_away_there_is_nothing_to_do():
    assert choose(spec(), 1, Memory(), AWAY, NOW).pin is None
    assert settled(Memory(), AWAY).memory.applied is None


def test_a_known_version_with_another_digest_is_refused():
    choice = choose(spec(), 1, serving(1, 2), pin(1, "b"), NOW)
    assert choice.pin == pin(2)
    assert choice.held.reason == "DigestMismatch"


def test_a_version_of_another_model_is_another_version():
    assert choose(spec(), 1, serving(1), pin(1, "b", "other"), NOW).is_new


@pytest.mark.parametrize("generation", [1, 2])
def test_a_failed_version_is_tried_again_only_after_a_change_of_the_spec(generation):
    memory = replace(serving(1), failed=Failed(pin(2), 1, "pods crash"))
    choice = choose(spec(), generation, memory, pin(2), NOW)
    assert choice.is_new == (generation == 2)
    assert (choice.held is None) == (generation == 2)


def test_a_window_holds_new_versions_back_and_nothing_else():
    window = {"rollout": {"window": {"cron": "0 14 * * *", "duration": "1h"}}}
    held = choose(spec(**window), 1, serving(1), pin(2), NOW)
    assert (held.pin, held.held.reason) == (pin(1), "WaitingForWindow")
    assert held.until == NOW + timedelta(hours=2)
    assert choose(spec(**window), 1, serving(1), pin(1), NOW) == Choice(pin(1))
    assert choose(spec(**window), 1, serving(1), pin(2), NOW + timedelta(hours=2)).is_new


def test_a_suspended_one_keeps_what_it_has():
    assert choose(spec(suspend=True), 1, serving(1), pin(2), NOW).held.reason == "Suspended"


def test_a_failed_rollout_makes_the_last_good_version_the_one_in_force():
    after = settled(serving(1), pin(2), BROKEN)
    assert after.again
    assert after.memory.applied == after.memory.good == pin(1)
    assert after.memory.failed == Failed(pin(2), 1, "pods crash")
    assert (after.report.pin, after.report.state) == (pin(2), "failed")
    assert [each.outcome for each in after.memory.history] == ["RolledBack", "Failed", "Complete"]
    assert reasons(after.memory)["Ready"] == ("False", "RolloutFailed")
    again = settled(after.memory, pin(2))
    assert not again.again
    assert again.memory.applied == pin(1)
    assert (again.report.pin, again.report.state) == (pin(1), "serving")
    assert "rolled back from version 2" in again.report.message


@pytest.mark.parametrize(
    ("memory", "more"),
    [
        (Memory(), {}),
        (serving(1), {"rollout": {"rollbackOnFailure": False}}),
    ],
)
def test_a_failed_rollout_without_a_way_back_stays_and_is_told(memory, more):
    after = settled(memory, pin(2), BROKEN, **more)
    assert not after.again
    assert after.memory.applied == pin(2)
    assert after.report.state == "failed"
    assert settled(after.memory, pin(2), BROKEN, **more).memory == after.memory


def test_what_ran_well_and_breaks_later_is_no_reason_to_go_back():
    after = settled(serving(1, 2), pin(2), BROKEN)
    assert not after.again
    assert after.memory.applied == pin(2)
    assert after.report.state == "failed"


def test_a_deadline_counts_from_when_it_came_in_and_ends_with_the_first_success():
    limit = {"rollout": {"progressDeadline": "10m"}}
    memory = settled(serving(1), pin(2), RUNNING, **limit).memory
    assert not settled(memory, pin(2), RUNNING, now=NOW + timedelta(minutes=10), **limit).again
    assert settled(memory, pin(2), RUNNING, now=NOW + timedelta(minutes=11), **limit).again
    done = settled(memory, pin(2), DONE, **limit).memory
    assert not settled(done, pin(2), RUNNING, now=NOW + timedelta(hours=2), **limit).again


def test_a_failure_is_forgotten_once_another_version_is_named_or_it_ran_after_all():
    failed = settled(serving(1), pin(2), BROKEN).memory
    assert settled(failed, pin(3)).memory.failed is None
    assert settled(failed, AWAY).memory.failed is not None
    assert settled(failed, pin(2), DONE, generation=2).memory.failed is None


def test_what_could_not_be_written_is_not_remembered_as_in_force():
    fault = Fault("Conflict", "argocd owns it")
    after = settled(serving(1), pin(2), fault=fault)
    assert after.memory.applied == pin(1)
    assert after.report is None
    assert reasons(after.memory)["Applied"] == ("False", "Conflict")
    assert reasons(after.memory)["Ready"] == ("False", "Conflict")


def test_a_rollout_on_its_way_is_told_as_such():
    after = settled(serving(1), pin(2), RUNNING)
    assert after.report.state == "rolling_out"
    assert reasons(after.memory)["Progressing"] == ("True", "RollingOut")
    assert reasons(after.memory)["Ready"] == ("False", "RollingOut")
    assert after.memory.good == pin(1)


def test_in_mode_resolve_nothing_is_reported():
    wanted = {"mode": "Resolve", "target": None}
    after = settled(Memory(), pin(1), **wanted)
    assert after.report is None
    assert reasons(after.memory)["Ready"] == ("True", "Serving")


def test_a_status_that_is_written_and_read_again_is_the_same_memory():
    for memory in (Memory(), serving(1, 2), settled(serving(1), pin(2), BROKEN).memory):
        status = {key: value for key, value in memory.as_status(3).items() if value is not None}
        assert Memory.from_status(status) == memory


def test_nothing_new_changes_nothing():
    memory = serving(1, 2)
    assert settled(memory, pin(2), now=NOW + timedelta(hours=5)).memory == memory


def test_the_history_has_an_end():
    assert len(serving(*range(1, 15)).history) == HISTORY


def test_the_time_of_a_condition_changes_with_its_status_only():
    first = merged((), [Condition("Ready", "False", "A")], 1, NOW)
    later = NOW + timedelta(hours=1)
    same = merged(first, [Condition("Ready", "False", "B")], 2, later)
    other = merged(first, [Condition("Ready", "True", "C")], 2, later)
    assert same[0]["lastTransitionTime"] == "2026-11-21T12:00:00Z"
    assert other[0]["lastTransitionTime"] == "2026-11-21T13:00:00Z"


def test_events_tell_what_changed_once():
    first, second = serving(1), serving(1, 2)
    assert ("Normal", "Applied", "Applied", "version 1") in news((), first.conditions)
    assert news(first.conditions, first.conditions) == []
    assert ("Normal", "Applied", "Applied", "version 2") in news(first.conditions, second.conditions)
    failed = settled(serving(1), pin(2), BROKEN).memory
    told = news(first.conditions, failed.conditions)
    assert [each[:2] for each in told if each[1] == "RolloutFailed"] == [("Warning", "RolloutFailed")]
    away = settled(first, AWAY).memory
    assert [each[:2] for each in news(first.conditions, away.conditions)] == [("Warning", "RegistryUnavailable")]
