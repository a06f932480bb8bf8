"""Deployments over both engines: what a report does, what ran when, who holds, who goes stale, what differs."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from registry_grpc.domain.access import Condition as Limit
from registry_grpc.domain.access import Grant
from registry_grpc.domain.deployments import (
    AHEAD,
    DEFAULT_TTL,
    DeploymentFilter,
    DeploymentState,
    Place,
    RunFilter,
    deployment_name,
)
from registry_grpc.domain.drift import DriftKind
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.server.ids import RandomIds
from registry_grpc.usecases.deployment_upkeep import forget_deployments
from registry_grpc.usecases.reports import ReportDeployment
from tests.contract.store.builders import SECOND, add_version, at_once
from tests.kit.running import DAY, World, call

MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(store):
    return World(store)


def refused(reason, work):
    with pytest.raises(RegistryError) as caught:
        work()
    assert caught.value.reason is reason
    return caught.value


def test_a_first_report_makes_a_deployment_and_the_same_again_is_a_heartbeat(world):
    one = world.ready()
    made = world.report(one)
    assert (made.version, made.manifest_digest, made.stale, made.revision) == (
        one.name,
        one.manifest_digest,
        False,
        world.revision(),
    )
    assert made.name == deployment_name(world.model.name, Place(environment="prod", workload="api"))
    world.pass_time(MINUTE)
    again = world.report(one, principal="user:bob")
    assert world.revision() == made.revision
    assert again.heartbeat_time >= made.heartbeat_time + MINUTE
    assert again == replace(made, heartbeat_time=again.heartbeat_time, reporter="user:bob")
    assert world.get(made.name) == again
    assert world.actions() == [Action.CREATED]
    assert len(world.runs()) == 1


def test_a_change_of_what_is_said_takes_a_revision_and_no_new_run(world):
    one = world.ready()
    made = world.report(one)
    changed = world.report(one, state=DeploymentState.DEGRADED, message="slow", traffic_percent=0)
    assert changed.revision == made.revision + 1
    assert changed.etag != made.etag
    assert (changed.start_time, changed.create_time) == (made.start_time, made.create_time)
    assert world.get(made.name) == changed
    assert world.actions() == [Action.CREATED, Action.UPDATED]
    assert len(world.runs()) == 1


def test_places_are_told_apart_and_texts_cannot_run_into_each_other(world):
    one = world.ready()
    names = {
        world.report(one, "ab", slot="c").name,
        world.report(one, "a", slot="bc").name,
        world.report(one, "ab", cluster="c").name,
        world.report(world.ready(world.new_model("other")), "ab", slot="c").name,
    }
    assert len(names) == 4


def test_another_version_ends_the_run_and_begins_the_next(world):
    first, second = world.ready(), world.ready()
    made = world.report(first)
    world.pass_time(DAY)
    world.report(second)
    world.pass_time(DAY)
    world.retire(made.name)
    newer, older = world.runs()
    assert (older.version, newer.version) == (first.name, second.name)
    assert older.end_time == newer.start_time
    assert newer.end_time > newer.start_time + DAY - MINUTE
    middle = older.start_time + 12 * timedelta(hours=1)
    assert [run.version for run in world.runs(ends_after=middle, begins_before=middle + SECOND)] == [first.name]
    assert world.runs(ends_after=newer.end_time) == []
    assert world.runs(begins_before=older.start_time) == []
    world.pass_time(DAY)
    back = world.report(second)
    assert (back.state, back.retire_time) == (DeploymentState.SERVING, None)
    newest = world.runs()[0]
    assert (newest.end_time, newest.start_time) == (None, back.start_time)
    assert newest.start_time > newer.end_time
    assert world.actions() == [Action.CREATED, Action.UPDATED, Action.RETIRED, Action.UPDATED]


def test_a_reporter_may_say_since_when_but_not_in_the_run_before_nor_far_ahead(world):
    first, second, third = world.ready(), world.ready(), world.ready()
    now = world.store.now()
    begun = world.report(first, start_time=now - DAY)
    assert begun.start_time == now - DAY
    assert world.report(second, start_time=now - 2 * DAY).start_time >= now
    ahead = world.store.now() + AHEAD - MINUTE
    assert world.report(third, start_time=ahead).start_time == ahead
    # What follows cannot begin before what is said to run begins.
    assert world.report(first).start_time == ahead
    assert world.report(second, start_time=world.store.now() + AHEAD + MINUTE).start_time == ahead


def test_retiring_again_changes_nothing_and_an_old_etag_is_refused(world):
    made = world.report(world.ready())
    refused(Reason.ETAG_MISMATCH, lambda: world.retire(made.name, "0" * 16))
    gone = world.retire(made.name, made.etag)
    assert (gone.state, gone.stale) == (DeploymentState.RETIRED, False)
    assert world.retire(made.name).revision == gone.revision
    assert world.heartbeat(made.name) == [made.name]
    assert world.list() == []
    assert [one.name for one in world.list(states=frozenset({DeploymentState.RETIRED}))] == [made.name]


def test_an_etag_in_a_report_must_be_the_present_one(world):
    one = world.ready()
    refused(Reason.DEPLOYMENT_NOT_FOUND, lambda: world.report(one, etag="0" * 16))
    made = world.report(one)
    refused(Reason.ETAG_MISMATCH, lambda: world.report(one, etag="0" * 16))
    assert world.report(one, message="new", etag=made.etag).revision > made.revision


def test_a_draft_and_a_deleted_version_cannot_be_deployed_but_what_runs_may_be_told_of(world):
    draft = add_version(world.store, world.model)
    refused(Reason.VERSION_STATE, lambda: world.report(draft))
    one, other = world.ready(), world.ready()
    world.delete(other)
    refused(Reason.VERSION_NOT_FOUND, lambda: world.report(other))
    refused(Reason.STAGE_NOT_FOUND, lambda: world.report(one, stage="nowhere"))
    world.report(one)
    world.pass_time(DEFAULT_TTL + SECOND)
    world.delete(one)
    told = world.report(one, state=DeploymentState.DEGRADED)
    assert told.version == one.name


def test_a_heartbeat_takes_no_revision_and_names_what_must_be_reported(world):
    made = world.report(world.ready())
    strange = replace(made.name, deployment="f" * 20)
    before = world.revision()
    world.pass_time(MINUTE)
    assert world.heartbeat(made.name, strange) == [strange]
    assert world.revision() == before
    assert world.get(made.name).heartbeat_time >= made.heartbeat_time + MINUTE
    assert world.heartbeat(made.name, may=lambda _: False) == [made.name]


def test_what_is_silent_goes_stale_once_and_comes_back_when_it_is_heard(world):
    made = world.report(world.ready(), heartbeat_ttl=timedelta(seconds=10))
    assert world.mark_stale() == 0
    world.pass_time(timedelta(seconds=11))
    assert world.get(made.name).stale
    assert [one.name for one in world.list(stale_only=True)] == [made.name]
    assert world.mark_stale() == 1
    assert world.mark_stale() == 0
    marked = world.get(made.name)
    assert (marked.marked_stale, marked.revision) == (True, made.revision + 1)
    assert marked.update_time == made.update_time
    assert world.heartbeat(made.name) == []
    back = world.get(made.name)
    assert (back.stale, back.marked_stale, back.revision) == (False, False, made.revision + 2)
    world.pass_time(timedelta(seconds=11))
    world.mark_stale()
    world.report(world.ready(), heartbeat_ttl=timedelta(seconds=10))
    assert world.actions() == [
        *(Action.CREATED, Action.WENT_STALE, Action.CAME_BACK),
        *(Action.WENT_STALE, Action.CAME_BACK, Action.UPDATED),
    ]


def test_a_deployment_that_is_heard_of_holds_its_version_and_no_other(world):
    one, other = world.ready(), world.ready()
    made = world.report(one)
    error = refused(Reason.VERSION_IN_USE, lambda: world.delete(one))
    assert str(made.name) in str(error)
    world.delete(other)
    world.pass_time(DEFAULT_TTL + SECOND)
    world.delete(one)


def test_a_retired_deployment_holds_nothing(world):
    one = world.ready()
    world.retire(world.report(one).name)
    world.delete(one)


def test_drift_tells_each_kind_and_since_when(world):
    first, second = world.ready(), world.ready()
    world.to_production(first)
    follows = world.report(first, "follows", stage="production")
    assert world.drift().drifts == []
    world.pass_time(MINUTE)
    moved = world.to_production(second).after.set_time
    [drift] = world.drift().drifts
    assert drift.kinds == (DriftKind.VERSION_DIFFERS, DriftKind.VERSION_WITHDRAWN)
    assert (drift.desired.version, drift.since_time) == (second.name, moved)
    world.report(second, "follows", stage="production")
    assert world.drift().drifts == []
    world.report(second, "follows", stage="production", manifest_digest="sha256:" + "a" * 64)
    [drift] = world.drift().drifts
    assert drift.kinds == (DriftKind.DIGEST_DIFFERS,)
    world.report(second, "follows", stage="production", state=DeploymentState.FAILED)
    [drift] = world.drift().drifts
    assert drift.kinds == (DriftKind.UNHEALTHY,)
    world.report(second, "follows", stage="production")
    vacated = world.vacate().after.set_time
    [drift] = world.drift().drifts
    assert drift.kinds == (DriftKind.NO_HOLDER, DriftKind.VERSION_WITHDRAWN)
    assert drift.since_time == vacated
    world.retire(follows.name)
    assert world.drift().drifts == []
    third = world.ready()
    silent = world.report(third, "silent")
    world.pass_time(DEFAULT_TTL + SECOND)
    [drift] = world.drift().drifts
    assert (drift.kinds, drift.since_time) == ((DriftKind.STALE,), silent.expire_time)
    deleted = world.delete(third).delete_time
    [drift] = world.drift().drifts
    assert drift.kinds == (DriftKind.VERSION_WITHDRAWN, DriftKind.STALE)
    assert drift.since_time == min(silent.expire_time, deleted)
    assert world.drift().revision == world.revision()
    assert world.naive_drift() == {one.deployment.name.deployment: one.kinds for one in world.drift().drifts}


def test_a_purged_version_is_still_told_of(world):
    one = world.ready()
    made = world.report(one)
    world.pass_time(DEFAULT_TTL + SECOND)
    world.delete(one)

    def purge(unit):
        unit.advance("tests")
        unit.versions.delete(one.uid)

    world.store.write(purge)
    [drift] = world.drift().drifts
    assert drift.kinds == (DriftKind.VERSION_WITHDRAWN, DriftKind.STALE)
    assert [run.version for run in world.runs()] == [one.name]
    assert world.get(made.name).version == one.name


def test_lists_are_narrowed_to_models_and_by_each_filter(world):
    other = world.new_model("other")
    mine, theirs = world.ready(), world.ready(other)
    made = world.report(mine, cluster="c1")
    shown = world.report(theirs, environment="test", state=DeploymentState.FAILED)
    both = {made.name, shown.name}

    def named(**values):
        return {one.name for one in world.list(**values)}

    assert named() == both
    for values in (
        {"model": "m"},
        {"number": 1, "model": "m"},
        {"environment": "prod"},
        {"cluster": "c1"},
        {"states": frozenset({DeploymentState.SERVING})},
        {"only": frozenset({"m"})},
    ):
        assert named(**values) == {made.name}, values
    assert named(only=frozenset()) == set()
    assert {run.deployment for run in world.runs(only=frozenset({"other"}))} == {shown.name}
    assert {run.deployment for run in world.runs(cluster="c1")} == {made.name}
    assert {one.deployment.name for one in world.drift(only=frozenset({"other"})).drifts} == {shown.name}
    assert world.drift(only=frozenset({"m"})).drifts == []


def test_pages_of_every_list_are_whole(world):
    version = world.ready()
    for number in range(7):
        world.report(version, f"w{number}", state=DeploymentState.FAILED)
    wanted = world.list()

    def paged(read, key):
        found, after = [], None
        while page := read(after):
            found += page
            after = key(page[-1])
        return found

    reader = world.store.read
    of = DeploymentFilter(project=world.project.project)
    listed = paged(
        lambda after: reader(lambda r: r.deployments.list(of, after=after, limit=3)),
        lambda one: (one.create_time, one.name.deployment),
    )
    assert [one.name for one in listed] == [one.name for one in wanted]
    runs = paged(
        lambda before: reader(
            lambda r: r.deployment_runs.list(RunFilter(project=world.project.project), before=before, limit=3)
        ),
        lambda run: (run.start_time, run.revision),
    )
    assert runs == world.runs()
    assert len(runs) == 7
    drifting = paged(
        lambda after: reader(lambda r: r.deployments.drifting(of, (), after=after or "", limit=3)),
        lambda seen: seen.deployment.name.deployment,
    )
    assert len({seen.deployment.name for seen in drifting}) == 7


def test_a_purged_model_takes_its_retired_deployments_and_a_project_everything(world):
    one = world.ready()
    gone, stays = world.report(one, "gone"), world.report(one, "stays")
    world.retire(gone.name)

    def forget(what):
        world.store.write(lambda unit: (unit.advance("tests"), forget_deployments(unit, what)))

    forget(world.model)
    assert (world.get(gone.name), world.get(stays.name).name) == (None, stays.name)
    assert len(world.runs()) == 2
    forget(world.store.read(lambda reader: reader.projects.get(world.project.project)))
    assert (world.get(stays.name), world.runs()) == (None, [])


def test_a_condition_on_stages_limits_what_may_be_reported(world):
    one = world.ready()
    grant = Grant("deployments.report", (Limit(stages=("staging",)),))

    def report(**values):
        said = world.said(one, **values)
        return ReportDeployment(world.store, RandomIds())(call(grant=grant), world.project, said).get()

    refused(Reason.PERMISSION_MISSING, lambda: report(stage="production"))
    made = report(stage="staging")
    before = world.revision()
    assert report(stage="staging").revision == made.revision == before
    world.report(one, stage="production")
    refused(Reason.PERMISSION_MISSING, lambda: report(stage="staging"))


def test_reports_that_come_at_once_make_one_deployment_with_one_run(world):
    one, other = world.ready(), world.ready()
    made = at_once(8, lambda number: world.report(one if number % 2 else other))
    assert not [each for each in made if isinstance(each, Exception)]
    assert len({each.name for each in made}) == 1
    runs = sorted(world.runs(), key=lambda run: run.revision)
    assert [run.end_time is None for run in runs].count(True) == 1
    assert all(older.end_time == newer.start_time for older, newer in pairwise(runs))


def test_heartbeats_of_the_same_names_in_any_order_do_not_wait_for_each_other_forever(world):
    one = world.ready()
    names = [world.report(one, f"w{number}").name for number in range(20)]
    done = at_once(6, lambda number: world.heartbeat(*(names if number % 2 else names[::-1])))
    assert done == [[]] * 6


def test_counts_are_by_state_and_stale(world):
    def counts():
        return world.store.read(lambda reader: reader.deployments.count())

    one = world.ready()
    world.report(one, "a")
    world.report(one, "b", heartbeat_ttl=timedelta(seconds=10))
    world.retire(world.report(one, "c", heartbeat_ttl=timedelta(seconds=10)).name)
    world.pass_time(timedelta(seconds=11))
    assert counts() == ({DeploymentState.SERVING: 2, DeploymentState.RETIRED: 1}, 1)
