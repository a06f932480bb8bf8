"""Any sequence of catalogue verbs against a simple model: holders, pointers, latest, projection and revisions agree.

The use cases run over a real SQLite store in this process; nothing of ours is replaced but the stored bytes.
"""

import itertools
import tempfile
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry_grpc.domain.artifacts import Artifact, Blob
from registry_grpc.domain.calls import Call, Principal
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import LATEST, ModelName, PointerName
from registry_grpc.domain.pointers import PointerKind, StageAction
from registry_grpc.domain.stages import DEFAULT_STAGES
from registry_grpc.storage.sql import SqlStore
from registry_grpc.usecases.aliases import AliasChanges, UpdateAliases
from registry_grpc.usecases.deletion import DeleteModel, DeleteVersion, UndeleteModel, UndeleteVersion
from registry_grpc.usecases.finalize import FinalizeVersion
from registry_grpc.usecases.holders import PointerHolders
from registry_grpc.usecases.models import CreateModel
from registry_grpc.usecases.moving import Condition
from registry_grpc.usecases.stages import (
    ListStageHistory,
    ListStages,
    PromoteVersion,
    RollbackStage,
    VacateStage,
)
from registry_grpc.usecases.versions import CreateVersion
from registry_grpc.watch.projection import Projection

DAY = timedelta(days=1)
STAGES = {stage.id: stage for stage in DEFAULT_STAGES}
ALIASES = ("champion", "shadow")
NUMBERS = st.integers(1, 6)
STAGE_IDS = st.sampled_from(sorted(STAGES))
_models = itertools.count(1)


class Ids:
    def uuid(self):
        return str(uuid.uuid4())


class Bytes:
    """Stored bytes: every object is three zeros."""

    def read(self, key, offset, length):  # noqa: ARG002 - all are alike
        yield bytes(3)[offset : offset + length]


class World:
    """One store for all examples; each example has a model of its own."""

    def __init__(self):
        self._directory = tempfile.TemporaryDirectory()
        self.store = SqlStore(f"sqlite:///{Path(self._directory.name) / 'registry.db'}", auto_upgrade=True)
        self.store.observer = self
        self.projection = Projection(lambda pointer: str(pointer.target.name))
        self.revisions = []

    def committed(self, revision, events):
        self.revisions.append(revision)
        self.projection.apply(events)

    def close(self):
        self.store.close()
        self._directory.cleanup()


@dataclass
class Known:
    """What the simple model knows of one version."""

    stage: str = ""
    ready: bool = False
    deleted: bool = False
    arrived: int = 0


@dataclass
class Simple:
    """Versions, aliases and arrivals: what the registry must agree with."""

    versions: dict[int, Known] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    arrivals: list[tuple[str, int, bool, int]] = field(default_factory=list)
    """Stage, number, whether by a rollback, number left behind."""
    deleted: bool = False

    def holders(self, stage):
        held = [n for n, v in self.versions.items() if v.stage == stage and not v.deleted]
        return sorted(held, key=lambda n: self.versions[n].arrived, reverse=True)

    def holder(self, stage):
        return next(iter(self.holders(stage)), 0)

    def latest(self):
        return max((n for n, v in self.versions.items() if v.ready and not v.deleted), default=0)

    def arrive(self, number, stage, *, rollback=False, left=0):
        self.arrivals.append((stage, number, rollback, left))
        self.versions[number].stage = stage
        self.versions[number].arrived = len(self.arrivals)

    def leave(self, number, stage):
        self.arrive(number, STAGES[stage].displaced_to or ("archived" if stage != "archived" else ""))

    def rollback_target(self, stage):
        rows = [row for row in self.arrivals if row[0] == stage]
        for at in range(len(rows) - 1, -1, -1):
            number = rows[at][1]
            abandoned = any(rollback and left == number for _, _, rollback, left in rows[at:])
            if number != self.holder(stage) and not abandoned and not self.versions[number].deleted:
                return number
        return 0


def accepts(stage, source, *, rollback):
    graph = STAGES[stage]
    return (
        source == stage
        or source in graph.accepts_from
        or "*" in graph.accepts_from
        or (rollback and source in {"archived", graph.displaced_to})
    )


class Catalogue(RuleBasedStateMachine):
    world = None

    @initialize()
    def begin(self):
        store = self.world.store
        self.name = ModelName("default", f"m{next(_models)}")
        self.model = CreateModel(store, Ids())(self.call(), self.name, {}).get()
        self.simple = Simple()
        for _ in range(3):  # deep from the start
            self.create()
            self.finalize()

    def call(self):
        return Call(principal=Principal("user:ada"), method="Tests.Change")

    def expect(self, reason, act):
        """Run `act`, which must be refused for `reason`, or go through when that is None."""
        try:
            done = act()
        except RegistryError as error:
            assert error.reason is reason, (error.reason, error.message)  # noqa: PT017 - either way is looked at
            return None
        assert reason is None, f"was not refused for {reason}"
        return done

    @property
    def gone(self):
        return Reason.MODEL_NOT_FOUND if self.simple.deleted else None

    def absent(self, number):
        return Reason.VERSION_NOT_FOUND if number not in self.simple.versions else None

    @rule()
    def create(self):
        create = CreateVersion(self.world.store, Ids(), DAY)
        made = self.expect(self.gone, lambda: create(self.call(), self.name, {}))
        if made:
            number = made.get().name.number
            assert number == len(self.simple.versions) + 1
            self.simple.versions[number] = Known()

    @precondition(lambda self: any(not v.ready for v in self.simple.versions.values()))
    @rule()
    def finalize(self):
        number = min((v.deleted, n) for n, v in self.simple.versions.items() if not v.ready)[1]
        known = self.simple.versions[number]
        name = self.name.version(number)
        if not self.simple.deleted and not known.deleted:
            self.add_file(name)
        reason = self.gone or (Reason.VERSION_NOT_FOUND if known.deleted else None)
        use_case = FinalizeVersion(self.world.store, Bytes(), 100)
        if self.expect(reason, lambda: use_case(self.call(), name, "", "")):
            known.ready = True
            self.simple.arrive(number, "development")

    def add_file(self, name):
        def work(unit):
            version = unit.versions.get(name)
            revision = unit.advance("tests")
            blob = Blob(
                uid=str(uuid.uuid4()),
                project="default",
                digest=Digest(uuid.uuid4().hex * 2, 3),
                key=str(uuid.uuid4()),
                block_digests=b"",
                create_time=unit.now,
            )
            unit.blobs.insert(blob)
            file = Artifact(
                version=name,
                version_uid=version.uid,
                path="w",
                blob_uid=blob.uid,
                digest=blob.digest,
                media_type="",
                create_time=unit.now,
                revision=revision,
            )
            unit.artifacts.put(file)

        self.world.store.write(work)

    def unassignable(self, number):
        known = self.simple.versions[number]
        return None if known.ready and not known.deleted else Reason.VERSION_STATE

    @rule(number=NUMBERS, stage=STAGE_IDS)
    def promote(self, number, stage):
        simple, holder = self.simple, self.simple.holder(stage)
        reason = self.gone or self.absent(number) or self.unassignable(number)
        again = not reason and holder == number
        if not reason and not again and not accepts(stage, simple.versions[number].stage, rollback=False):
            reason = Reason.STATE_TRANSITION
        done = self.expect(
            reason,
            lambda: PromoteVersion(self.world.store)(self.call(), self.name.version(number), stage, Condition(), ""),
        )
        if done and not again:
            self.hand_over(number, stage, holder)
        assert not again or done.revision == 0

    def hand_over(self, number, stage, holder, *, rollback=False):
        if STAGES[stage].exclusive and holder:
            self.simple.leave(holder, stage)
        self.simple.arrive(number, stage, rollback=rollback, left=holder)

    @rule(stage=STAGE_IDS, explicit=st.none() | NUMBERS)
    def roll_back(self, stage, explicit):
        simple, holder = self.simple, self.simple.holder(stage)
        target = explicit or simple.rollback_target(stage)
        reason = self.gone
        if not reason and explicit:
            reason = self.absent(explicit) or self.unassignable(explicit)
            been = any(row[:2] == (stage, explicit) for row in simple.arrivals)
            if not reason and (explicit == holder or not been):
                reason = Reason.NO_ROLLBACK_TARGET
        elif not reason and not target:
            reason = Reason.NO_ROLLBACK_TARGET
        if not reason and not accepts(stage, simple.versions[target].stage, rollback=True):
            reason = Reason.STATE_TRANSITION
        name = PointerName("default", self.name.model, "stages", stage)
        use_case = RollbackStage(self.world.store)
        if self.expect(reason, lambda: use_case(self.call(), name, explicit or 0, Condition())):
            self.hand_over(target, stage, holder, rollback=True)

    @rule(stage=STAGE_IDS)
    def vacate(self, stage):
        holder = self.simple.holder(stage)
        reason = self.gone or (None if holder else Reason.STAGE_VACANT)
        name = PointerName("default", self.name.model, "stages", stage)
        if self.expect(reason, lambda: VacateStage(self.world.store)(self.call(), name, Condition())):
            self.simple.leave(holder, stage)

    def held(self, numbers):
        protected = any(
            STAGES[self.simple.versions[n].stage].protected for n in numbers if self.simple.versions[n].stage
        )
        return protected or any(n in numbers for n in self.simple.aliases.values())

    @rule(number=NUMBERS)
    def delete(self, number):
        reason = self.gone or self.absent(number)
        known = self.simple.versions.get(number)
        if not reason and not known.deleted and self.held([number]):
            reason = Reason.VERSION_IN_USE
        use_case = DeleteVersion(self.world.store, (PointerHolders(),), DAY)
        if self.expect(reason, lambda: use_case(self.call(), self.name.version(number), "")):
            known.deleted = True

    @rule(number=NUMBERS)
    def undelete(self, number):
        reason = self.gone or self.absent(number)
        known = self.simple.versions.get(number)
        if not reason and not known.deleted:
            reason = Reason.RESOURCE_EXISTS
        use_case = UndeleteVersion(self.world.store, DAY)
        if self.expect(reason, lambda: use_case(self.call(), self.name.version(number), "")):
            stage = known.stage
            if stage and STAGES[stage].exclusive and self.simple.holder(stage):
                stage = ""
            known.deleted = False
            if known.ready:
                self.simple.arrive(number, stage)

    @rule(alias=st.sampled_from(ALIASES), number=NUMBERS)
    def set_alias(self, alias, number):
        reason = self.gone or self.absent(number) or self.unassignable(number)
        if self.expect(reason, lambda: self.update_aliases(set={alias: number}, delete=())):
            self.simple.aliases[alias] = number

    @rule(alias=st.sampled_from(ALIASES))
    def delete_alias(self, alias):
        reason = self.gone or (None if alias in self.simple.aliases else Reason.ALIAS_NOT_FOUND)
        if self.expect(reason, lambda: self.update_aliases(set={}, delete=(alias,))):
            del self.simple.aliases[alias]

    def update_aliases(self, **changes):
        return UpdateAliases(self.world.store)(self.call(), self.name, AliasChanges(**changes, expected={}))

    @rule()
    def delete_model(self):
        live = [n for n, v in self.simple.versions.items() if not v.deleted]
        reason = None if self.simple.deleted or not self.held(live) else Reason.VERSION_IN_USE
        use_case = DeleteModel(self.world.store, (PointerHolders(),), DAY)
        if self.expect(reason, lambda: use_case(self.call(), self.name, "", force=True)):
            self.simple.deleted = True

    @precondition(lambda self: self.simple.deleted)
    @rule()
    def undelete_model(self):
        UndeleteModel(self.world.store)(self.call(), self.name, "")
        self.simple.deleted = False

    @invariant()
    def pointers_show_the_newest_holder(self):
        if self.simple.deleted:
            return
        for pointer in ListStages(self.world.store)(self.name):
            assert pointer.number == self.simple.holder(pointer.id), pointer.id
            assert len(self.simple.holders(pointer.id)) <= 1 or not STAGES[pointer.id].exclusive
            stored = self.world.store.read(
                lambda reader, stage=pointer.id: reader.versions.list(self.model.uid, after=0, limit=99, stage=stage)
            )
            assert {v.name.number for v in stored} == set(self.simple.holders(pointer.id))

    @invariant()
    def the_projection_equals_the_database(self):
        stored = self.world.store.read(lambda reader: reader.pointers.list(self.model.uid))
        expected = {} if self.simple.deleted else {(p.kind is PointerKind.STAGE, p.id): p for p in stored}
        keys = [(True, stage) for stage in STAGES] + [(False, alias) for alias in (*ALIASES, LATEST)]
        for is_stage, key in keys:
            look_up = self.world.projection.stage if is_stage else self.world.projection.alias
            entry = look_up(str(self.name), key)
            shown = entry.pointer if entry and entry.reply else None
            pointer = expected.get((is_stage, key))
            assert shown == (pointer if pointer and pointer.target else None), key
        if not self.simple.deleted:
            aliases = {p.id: p.number for p in stored if p.kind is PointerKind.ALIAS}
            assert aliases == self.simple.aliases
            assert sum(p.number for p in stored if p.kind is PointerKind.LATEST) == self.simple.latest()

    @invariant()
    def history_has_every_arrival_in_order(self):
        rows = ListStageHistory(self.world.store)(self.name, "", before=None, limit=1000)
        came = [row for row in reversed(rows) if row.action is not StageAction.DELETED]
        assert [(row.stage, row.version.number) for row in came] == [row[:2] for row in self.simple.arrivals]

    @invariant()
    def revisions_are_dense(self):
        seen = self.world.revisions
        assert seen == list(range(seen[0], seen[0] + len(seen)))
        assert seen[-1] == self.world.store.read(lambda reader: reader.feed.head())


def test_any_sequence_of_verbs_keeps_holders_pointers_projection_and_revisions_in_agreement():
    world = World()
    try:
        Catalogue.world = world
        Catalogue.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
        Catalogue.TestCase("runTest").runTest()
    finally:
        world.close()
