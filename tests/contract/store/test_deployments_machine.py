"""Reported, promoted, retired and deleted in whatever order: runs never overlap, and drift is what it must be."""

import contextlib
from datetime import timedelta
from itertools import groupby, pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from registry_grpc.domain.deployments import DEFAULT_TTL, DeploymentState
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.events import Action
from tests.kit.running import World

WORKLOADS = st.sampled_from(["a", "b", "c"])
VERSIONS = st.integers(0, 3)
STATES = st.sampled_from([state for state in DeploymentState if state is not DeploymentState.RETIRED])
STAGES = st.sampled_from(["", "staging", "production"])
TIMES = st.sampled_from([timedelta(seconds=1), DEFAULT_TTL / 2, DEFAULT_TTL + timedelta(seconds=1)])


class Machine(RuleBasedStateMachine):
    """`expected` is what each workload was last told to run; None when it was retired."""

    store = None

    def __init__(self):
        super().__init__()
        self.world = World(self.store)
        self.versions = [self.world.ready() for _ in range(4)]
        self.deleted = set()
        self.names = {}
        self.expected = {}

    @rule(workload=WORKLOADS, at=VERSIONS, state=STATES, stage=STAGES, back=st.none() | TIMES, other=st.booleans())
    def report(self, workload, at, state, stage, back, other):
        start = None if back is None else self.world.store.now() - back
        digest = "sha256:" + "f" * 64 if other else ""
        try:
            made = self.world.report(
                self.versions[at], workload, state=state, stage=stage, start_time=start, manifest_digest=digest
            )
        except RegistryError:
            made = None
        if made is None:
            # Only what is deleted cannot be deployed, unless it runs there already.
            assert at in self.deleted
            assert self.expected.get(workload) != at
            return
        assert at not in self.deleted or self.expected.get(workload) == at
        self.names[workload] = made.name
        self.expected[workload] = at

    @rule(workload=WORKLOADS)
    def retire(self, workload):
        if workload in self.names:
            self.world.retire(self.names[workload])
            self.expected[workload] = None

    @rule(workload=WORKLOADS)
    def heartbeat(self, workload):
        if workload in self.names:
            retired = self.expected[workload] is None
            name = self.names[workload]
            assert self.world.heartbeat(name) == ([name] if retired else [])

    @rule(at=VERSIONS)
    def promote(self, at):
        if at not in self.deleted and self.world.store.read(lambda r: r.versions.by_uid(self.versions[at].uid)).stage:
            # The graph may not allow it from where it stands.
            with contextlib.suppress(RegistryError):
                self.world.to_production(self.versions[at])

    @rule(at=VERSIONS)
    def delete(self, at):
        held = [one.place.workload for one in self.world.list(number=at + 1) if not one.stale]
        try:
            self.world.delete(self.versions[at])
        except RegistryError as error:
            refusal = str(error)
        else:
            refusal = ""
        if refusal:
            assert held or "stages/" in refusal
            return
        assert not held or at in self.deleted
        self.deleted.add(at)

    @rule(time=TIMES)
    def wait(self, time):
        self.world.pass_time(time)

    @rule()
    def mark_stale(self):
        silent = [one for one in self.world.list(stale_only=True) if not one.marked_stale]
        assert self.world.mark_stale() >= len(silent)
        assert all(one.marked_stale for one in self.world.list(stale_only=True))

    @invariant()
    def each_runs_what_was_said_last(self):
        known = {one.place.workload: one.version.number - 1 for one in self.world.list()}
        assert known == {workload: at for workload, at in self.expected.items() if at is not None}

    @invariant()
    def runs_never_overlap_and_one_is_open_at_most(self):
        runs = sorted(self.world.runs(), key=lambda run: (run.deployment, run.revision))
        for name, of_one in groupby(runs, key=lambda run: run.deployment):
            history = list(of_one)
            assert all(run.end_time is not None for run in history[:-1])
            assert all(before.end_time <= after.start_time for before, after in pairwise(history))
            assert all(run.end_time is None or run.start_time <= run.end_time for run in history)
            now = self.world.get(name)
            assert (history[-1].end_time is None) == (now.state is not DeploymentState.RETIRED)
            assert (history[-1].version, history[-1].start_time) == (now.version, now.start_time)

    @invariant()
    def drift_is_what_each_thing_says_when_asked_alone(self):
        found = {one.deployment.name.deployment: one.kinds for one in self.world.drift().drifts}
        assert found == self.world.naive_drift()

    def teardown(self):
        """Going stale and coming back alternate, for each deployment."""
        actions = [action for action in self.world.actions() if action in {Action.WENT_STALE, Action.CAME_BACK}]
        assert actions.count(Action.CAME_BACK) <= actions.count(Action.WENT_STALE)


def test_any_order_of_reports_moves_and_deletions_keeps_runs_and_drift_true(store):
    Machine.store = store
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
