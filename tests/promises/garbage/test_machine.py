"""P08, P09: whatever the order of uploads, dedupes, deletions, copies, collections, faults and time, nothing that a
file needs is lost, and nothing that no file needs outlives its grace."""

import contextlib
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ProjectName
from tests.promises.garbage.conftest import distributed, embedded
from tests.promises.garbage.place import DAY, ELSEWHERE, GRACE, digest_of, reason_of
from tests.promises.tenants.stores import call

CONTENTS = [bytes([number]) * (10 + number) for number in range(4)]
content = st.sampled_from(CONTENTS)
index = st.integers(0, 50)


class Collecting(RuleBasedStateMachine):
    """Every rule is a real use case; the model is the rows and the bytes themselves."""

    made = None

    def __init__(self):
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.place = self.stack.enter_context(type(self).made())
        self.place.set_up()
        self.place.collect()  # as a server does at its start: the store is marked
        self.drafts, self.ready, self.deleted, self.orphans = [], [], [], []

    def teardown(self):
        try:
            self.nothing_is_left()
        finally:
            self.stack.close()

    @rule()
    def draft(self):
        self.drafts.append(self.place.draft())

    @precondition(lambda self: self.drafts)
    @rule(at=index, what=content, declared=st.booleans(), path=st.sampled_from(["a", "b"]))
    def upload(self, at, what, declared, path):
        self.place.upload(self.drafts[at % len(self.drafts)], what, declared=declared, path=path)

    @precondition(lambda self: self.drafts)
    @rule(at=index, what=content)
    def abandon(self, at, what):
        self.place.begin(self.drafts[at % len(self.drafts)], what, declared=False)

    @precondition(lambda self: self.drafts)
    @rule(at=index, what=content)
    def attach(self, at, what):
        digest = digest_of(what)
        held = self.place.rows(
            f"SELECT uid FROM blob WHERE project = 'default' AND sha256 = '{digest.sha256}' "  # noqa: S608
            "AND state IN ('live', 'condemned')"
        )
        refused = reason_of(lambda: self.place.attach_to(self.drafts[at % len(self.drafts)], what, "c"))
        assert refused is (None if held else Reason.ARTIFACT_NOT_FOUND)

    @rule(what=content)
    def ask(self, what):
        missing = self.place.missing(ProjectName("default"), [digest_of(what)])
        if not missing:
            # It was promised for an hour, whatever is collected meanwhile.
            self.place.move(timedelta(minutes=59))
            self.place.collect()
            draft = self.place.draft()
            self.place.attach_to(draft, what)
            self.drafts.append(draft)

    @precondition(lambda self: self.drafts)
    @rule(at=index)
    def finalize(self, at):
        name = self.drafts[at % len(self.drafts)]
        if reason_of(lambda: self.place.finalize(call(), name, "", "")) is None:
            self.drafts.remove(name)
            self.ready.append(name)

    @precondition(lambda self: self.ready)
    @rule(at=index)
    def copy(self, at):
        self.place.copy(call(), ELSEWHERE, self.ready[at % len(self.ready)], "")

    @precondition(lambda self: self.ready or self.drafts)
    @rule(at=index)
    def delete(self, at):
        names = self.ready + self.drafts
        name = names[at % len(names)]
        self.place.delete(call(), name, "")
        (self.ready if name in self.ready else self.drafts).remove(name)
        self.deleted.append(name)

    @precondition(lambda self: self.deleted)
    @rule(at=index)
    def undelete(self, at):
        name = self.deleted[at % len(self.deleted)]
        # Also after its time: what was not purged yet is whole until then.
        if reason_of(lambda: self.place.undelete(call(), name, "")) is None:
            self.deleted.remove(name)
            state = self.place.store.read(lambda reader: reader.versions.get(name)).state
            (self.drafts if state == "draft" else self.ready).append(name)

    @precondition(lambda self: self.deleted)
    @rule(at=index)
    def purge(self, at):
        name = self.deleted.pop(at % len(self.deleted))
        self.place.purge(call(), name, "")

    @rule()
    def lose_a_row(self):
        self.orphans.append(self.place.orphan())

    @rule(time=st.sampled_from([timedelta(minutes=30), timedelta(hours=25), 3 * DAY, GRACE]))
    def jump(self, time):
        self.place.move(time)

    @rule()
    def collect(self):
        self.place.collect()
        _, due = self.place.store.read(lambda reader: reader.garbage.totals(reader.now - GRACE))
        assert due.count == 0

    @rule(after=st.integers(0, 2))
    def collect_while_the_store_goes_down(self, after):
        self.place.artifacts.deletes_until_down = after
        with contextlib.suppress(RegistryError):
            self.place.collect()
        self.place.artifacts.deletes_until_down = None

    @rule()
    def another_leader(self):
        self.place.collect = self.place.collector()

    @invariant()
    def nothing_needed_is_lost(self):
        self.place.check()

    def nothing_is_left(self):
        """Grace, and two sweeps: what is in the store is what files need."""
        place = self.place
        place.move(GRACE)
        place.expire()
        for pause in (timedelta(0), GRACE, timedelta(0)):
            place.move(pause)
            place.collect()
        place.check()
        assert place.stored() == place.needed()
        assert set(place.states()) <= {"live", "gone"}
        assert place.rows("SELECT * FROM orphan") == []


def run(made, examples, steps):
    machine = type("Machine", (Collecting,), {"made": staticmethod(made)})
    machine.TestCase.settings = settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    machine.TestCase("runTest").runTest()


@pytest.mark.promise("P08", "machine")
def test_any_sequence_loses_nothing_needed_and_leaves_nothing_else_embedded():
    @contextlib.contextmanager
    def made():
        with tempfile.TemporaryDirectory() as directory, embedded(Path(directory)) as place:
            yield place

    run(made, examples=25, steps=30)


@pytest.mark.promise("P08", "machine")
def test_any_sequence_loses_nothing_needed_and_leaves_nothing_else_distributed(service_environment):
    run(lambda: distributed(service_environment), examples=5, steps=20)
