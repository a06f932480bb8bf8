"""What projects keep by number, tokens long expired, and the leader that sees to both."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.identity import Token
from registry_grpc.domain.names import ModelName, ProjectName
from registry_grpc.domain.tenancy import MAX_KEEP_VERSIONS, Retention, check_retention
from registry_grpc.server.ids import RandomIds
from registry_grpc.server.leader import Job, Leader
from registry_grpc.server.pools import Pool
from registry_grpc.usecases.aliases import AliasChanges, UpdateAliases
from registry_grpc.usecases.deletion import DeleteVersion
from registry_grpc.usecases.holders import PointerHolders
from registry_grpc.usecases.models import CreateModel
from registry_grpc.usecases.moving import Condition
from registry_grpc.usecases.retention import TOKEN_REST, ForgetTokens, KeepNewest
from registry_grpc.usecases.stages import PromoteVersion
from tests.promises.garbage.place import DAY, MODEL, new_content
from tests.promises.tenants.stores import call

HOLDERS = (PointerHolders(),)


def keep(place, number):
    def work(unit):
        project = unit.projects.lock("default")
        revision = unit.advance("tests")
        unit.projects.update(replace(project, retention=Retention(keep_versions=number), revision=revision))

    place.store.write(work)


def keeper(place, **fields):
    return KeepNewest(place.store, DeleteVersion(place.store, HOLDERS, DAY), HOLDERS, **fields)


def live(place, model=MODEL):
    def work(reader):
        uid = reader.models.get(model).uid
        return [each.name.number for each in reader.versions.list(uid, after=0, limit=100, descending=False)]

    return place.store.read(work)


def finalized(place, count):
    return [place.ready(new_content(10)) for _ in range(count)]


def test_a_project_that_says_nothing_keeps_all(place):
    finalized(place, 4)
    assert keeper(place)() == 0
    assert live(place) == [1, 2, 3, 4]


def test_the_newest_that_nothing_holds_are_kept_and_what_is_held_does_not_count(place):
    names = finalized(place, 6)
    draft = place.draft()
    UpdateAliases(place.store)(call(), MODEL, AliasChanges(set={"champion": 1}, delete=(), expected={}))
    promote = PromoteVersion(place.store)
    promote(call(), names[4], "staging", Condition(), "")
    keep(place, 2)

    assert keeper(place)() == 2

    # 1 and 5 are held, 7 is a draft; of 2, 3, 4 and 6 the two newest stay.
    assert live(place) == [1, 4, 5, 6, 7]
    assert draft.number == 7
    assert keeper(place)() == 0
    events = place.rows("SELECT actor FROM event WHERE action = 'deleted' AND resource_type = 'version'")
    assert {actor for (actor,) in events} == {"system:registry"}
    assert place.rows("SELECT COUNT(*) FROM audit WHERE method = 'system.KeepNewest'") == [(2,)]
    # Softly: they can be undeleted.
    place.undelete(call(), names[1], "")
    place.check()


def test_a_run_that_has_no_time_left_is_ended_by_the_next_ones(place):
    finalized(place, 5)
    other = ModelName("default", "z")
    CreateModel(place.store, RandomIds())(call(), other, {})
    keep(place, 1)
    runs = keeper(place, budget_s=0)
    assert [runs() for _ in range(5)] == [1, 1, 1, 1, 0]
    assert live(place) == [5]


def test_a_deleted_project_or_model_is_left_alone(place):
    finalized(place, 3)
    keep(place, 1)
    place.store.write(lambda unit: unit.projects.bury("default", buried=True))
    assert keeper(place)() == 0


@pytest.mark.parametrize("number", [-1, MAX_KEEP_VERSIONS + 1])
def test_a_number_out_of_range_is_refused(number):
    with pytest.raises(RegistryError) as caught:
        check_retention(Retention(keep_versions=number))
    assert caught.value.reason is Reason.INVALID_FIELD
    assert "keep_versions" in caught.value.message
    check_retention(Retention(keep_versions=MAX_KEEP_VERSIONS))


def test_a_token_is_forgotten_a_month_after_it_expired_and_not_before(place):
    now = place.store.now()
    ends = {"old": now - TOKEN_REST - DAY, "late": now - TOKEN_REST + DAY, "good": now + DAY, "endless": None}

    def work(unit):
        revision = unit.advance("tests")
        for name, end in ends.items():
            made = Token(
                id=name,
                secret_hash=b"x",
                principal="user:ada",
                description="",
                creator="user:ada",
                create_time=now,
                expire_time=end,
                revoke_time=None,
                revision=revision,
            )
            unit.tokens.insert(made)

    place.store.write(work)
    assert ForgetTokens(place.store)() == 1
    assert {token.id for token in place.store.read(lambda reader: reader.tokens.list())} == set(ends) - {"old"}
    assert ForgetTokens(place.store)() == 0


class Heard:
    """What the observer of a leader is told."""

    def __init__(self):
        self.ends, self.failures = [], []

    def ended(self, job, seconds):
        assert seconds >= 0
        self.ends.append(job)

    def failed(self, job, seconds, error):
        assert seconds >= 0
        assert isinstance(error, OSError)
        self.failures.append(job)


def fails():
    raise OSError


def test_a_job_that_fails_keeps_no_other_from_its_turn_and_is_told(place):
    ran, heard = [], Heard()
    jobs = [Job("first", 3600, fails), Job("second", 3600, lambda: ran.append(1))]

    async def lead():
        pool = Pool("jobs", 1)
        leader = Leader(place.store, pool, "me", jobs, heard)
        leader.start()
        for _ in range(500):
            if heard.ends:
                break
            await asyncio.sleep(0.02)
        assert leader.epoch == 1
        await leader.stop()
        pool.close()

    asyncio.run(lead())
    assert ran == [1]
    assert (heard.ends, heard.failures) == (["second"], ["first"])


def test_whoever_lost_the_lease_in_the_middle_of_a_round_stops(place, monkeypatch):
    ran, heard = [], Heard()

    def depose():
        ran.append("first")
        place.store.clock_offset += timedelta(minutes=5)
        assert place.store.acquire_lease("leader", "another", timedelta(minutes=1)) == 2

    # Every job takes longer than the lease is good for without renewal.
    monkeypatch.setattr("registry_grpc.server.leader.RENEW_S", 0.0)
    jobs = [Job("first", 3600, depose), Job("second", 3600, lambda: ran.append("second"))]

    async def lead():
        pool = Pool("jobs", 1)
        leader = Leader(place.store, pool, "me", jobs, heard)
        await leader._lead()
        assert leader.epoch is None
        pool.close()

    asyncio.run(lead())
    assert ran == ["first"]


def test_the_oldest_revision_is_that_of_the_events_that_are_kept(place):
    finalized(place, 2)
    assert place.store.read(lambda reader: reader.feed.oldest()) == 1
    assert place.store.read(lambda reader: reader.projects.get(ProjectName("default").project)).uid
    place.store.write(lambda unit: unit.feed.compact(unit.now + DAY, 2))
    assert place.store.read(lambda reader: reader.feed.oldest()) == 3
