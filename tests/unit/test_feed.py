"""The change feed: complete up to its revision, whatever order news comes in and however long the log is."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action, Event
from registry_grpc.domain.names import ModelName
from registry_grpc.domain.pointers import Pointer, PointerKind, Target
from registry_grpc.watch import feed as feed_module
from registry_grpc.watch.feed import ChangeFeed
from registry_grpc.watch.projection import Projection

MODEL = ModelName("default", "m")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pointer(stage, number, revision):
    target = Target(
        name=MODEL.version(number), uid=str(number), manifest_digest="", file_count=1, total_size_bytes=1, stage=stage
    )
    return Pointer(model=MODEL, model_uid="u", kind=PointerKind.STAGE, id=stage, target=target, revision=revision)


def events(revision, *pointers):
    return tuple(
        Event(
            revision=revision,
            index=index,
            action=Action.ASSIGNED,
            after=each,
            actor="",
            request_id="",
            time=NOW,
        )
        for index, each in enumerate(pointers)
    )


class Log:
    """A store with nothing but a log: whole revisions a page, as the port says."""

    def __init__(self):
        self.revisions = {}
        self.reads = 0
        self.away = False
        self.start = []

    def commit(self, *pointers_of):
        revision = len(self.revisions) + 1
        self.revisions[revision] = events(revision, *(each(revision) for each in pointers_of))
        return revision, self.revisions[revision]

    # What the feed asks of a store and of a reader:
    def read(self, work, *, snapshot=False):  # noqa: ARG002 - of the port
        self.reads += 1
        if self.away:
            raise RegistryError(Reason.DATABASE_UNAVAILABLE, "away")
        return work(self)

    @property
    def feed(self):
        return self

    @property
    def pointers(self):
        return self

    def head(self):
        return len(self.revisions)

    def after(self, revision, limit):
        found = []
        for each in range(revision + 1, self.head() + 1):
            if found and len(found) + len(self.revisions[each]) > limit:
                break
            found += self.revisions[each]
        return found

    def at(self, revision):
        return self.revisions.get(revision, [])

    def snapshot(self, *, after, limit):
        return [each for each in self.start if (each.model_uid, str(each.kind), each.id) > after][:limit]


class Observed:
    def __init__(self):
        self.failures = []

    def advanced(self, revision, lag_s):
        pass

    def failed(self, error, lag_s):  # noqa: ARG002 - of the port
        self.failures.append(error)


@contextlib.asynccontextmanager
async def following(log, poll_s=0.005, max_staleness_s=2.0):
    async def run(function, *arguments, **fields):
        await asyncio.sleep(0)
        return function(*arguments, **fields)

    projection = Projection(lambda each: each.number)
    observed = Observed()
    feed = ChangeFeed(log, projection, run, observed, poll_s=poll_s, max_staleness_s=max_staleness_s)
    await feed.start()
    feed.projection, feed.observed = projection, observed
    try:
        yield feed
    finally:
        await feed.stop()


def assign(stage, number):
    return lambda revision: pointer(stage, number, revision)


async def test_it_starts_from_a_snapshot_and_follows_the_tail():
    log = Log()
    log.commit(assign("production", 1))
    log.start = [pointer("production", 1, 1)]
    async with following(log) as feed:
        assert (feed.revision, feed.projection.stage(str(MODEL), "production").reply) == (1, 1)
        log.commit(assign("production", 2))
        assert await feed.wait_for(2, 5)
        assert feed.projection.stage(str(MODEL), "production").reply == 2


async def test_the_snapshot_is_read_in_pages(monkeypatch):
    monkeypatch.setattr(feed_module, "PAGE_POINTERS", 3)
    log = Log()
    log.commit()
    log.start = [pointer(f"s{n}", n + 1, 1) for n in range(7)]
    async with following(log) as feed:
        assert [feed.projection.stage(str(MODEL), f"s{n}").reply for n in range(7)] == list(range(1, 8))


@pytest.mark.parametrize("per_revision", [1, 2, 3, 7])
async def test_no_event_is_passed_over_when_a_page_is_cut_before_it_is_full(monkeypatch, per_revision):
    monkeypatch.setattr(feed_module, "PAGE_EVENTS", 4)
    log = Log()
    async with following(log) as feed:
        for _ in range(20):
            revision = log.head() + 1
            log.commit(*(assign(f"s{revision}-{n}", 1) for n in range(per_revision)))
        assert await feed.wait_for(20, 5)
        missing = [
            (revision, n)
            for revision in range(1, 21)
            for n in range(per_revision)
            if feed.projection.stage(str(MODEL), f"s{revision}-{n}") is None
        ]
        assert not missing


async def test_revisions_without_events_are_passed(monkeypatch):
    monkeypatch.setattr(feed_module, "PAGE_EVENTS", 1)
    log = Log()
    async with following(log) as feed:
        for number in range(1, 4):
            log.commit()
            log.commit(assign("production", number))
            log.commit()
        assert await feed.wait_for(9, 5)
        assert feed.projection.stage(str(MODEL), "production").reply == 3


async def test_own_commits_are_seen_at_once_and_counted_when_the_gap_before_them_is_filled():
    log = Log()
    async with following(log, poll_s=3600) as feed:
        await asyncio.sleep(0.02)
        log.commit(assign("staging", 1))  # another replica's
        mine = log.commit(assign("production", 2))
        next_ = log.commit(assign("archived", 3))
        feed.committed(*next_)
        feed.committed(*mine)
        assert feed.projection.stage(str(MODEL), "production").reply == 2
        assert feed.revision == 0
        # A gap wakes the tailer: nobody has to wait for the next poll.
        assert await feed.wait_for(3, 5)
        assert feed.projection.stage(str(MODEL), "staging").reply == 1


async def test_own_commits_in_order_need_no_poll():
    log = Log()
    async with following(log, poll_s=3600) as feed:
        await asyncio.sleep(0.02)
        reads = log.reads
        for number in range(1, 51):
            feed.committed(*log.commit(assign("production", number)))
        assert (feed.revision, feed.projection.stage(str(MODEL), "production").reply) == (50, 50)
        assert log.reads == reads


async def test_own_commits_out_of_order_never_bring_old_news_back():
    log = Log()
    async with following(log, poll_s=3600) as feed:
        await asyncio.sleep(0.02)
        commits = [log.commit(assign("production", number)) for number in range(1, 6)]
        for commit in (commits[2], commits[0], commits[4], commits[1], commits[3], commits[0]):
            feed.committed(*commit)
        assert (feed.revision, feed.projection.stage(str(MODEL), "production").reply) == (5, 5)


async def test_waiting_for_a_revision_that_does_not_come_ends_in_time():
    async with following(Log()) as feed:
        began = asyncio.get_running_loop().time()
        assert not await feed.wait_for(1, 0.2)
        assert 0.15 < asyncio.get_running_loop().time() - began < 1


async def test_stopping_in_the_moment_of_a_wake_up_ends_it():
    for _ in range(20):
        async with following(Log()) as feed:
            await asyncio.sleep(0)
            feed._wake.set()
            async with asyncio.timeout(5):
                await feed.stop()


async def test_many_wait_and_all_are_woken():
    log = Log()
    async with following(log) as feed:
        waiting = [asyncio.create_task(feed.wait_for(1 + number % 3, 5)) for number in range(50)]
        await asyncio.sleep(0)
        for _ in range(3):
            log.commit(assign("production", 1))
            await asyncio.sleep(0.01)
        assert all(await asyncio.gather(*waiting))


async def test_with_the_store_away_it_is_no_longer_fresh_and_goes_on_afterwards():
    log = Log()
    async with following(log, max_staleness_s=0.1) as feed:
        assert feed.is_fresh()
        log.away = True
        async with asyncio.timeout(5):
            while feed.is_fresh():  # noqa: ASYNC110 - time passes; nothing happens
                await asyncio.sleep(0.01)
        assert feed.observed.failures
        assert feed.lag_s > 0.1
        log.away = False
        log.commit(assign("production", 1))
        assert await feed.wait_for(1, 5)
        assert feed.is_fresh()


async def test_a_store_that_is_away_at_the_start_is_the_starters_to_handle():
    log = Log()
    log.away = True
    with pytest.raises(RegistryError):
        async with following(log):
            pass


@pytest.mark.parametrize("was_read", ["at the start", "by a poll", "as an own commit"])
@pytest.mark.parametrize("others_committed", [0, 1, 3])
async def test_it_ends_when_what_it_read_is_in_the_log_no_more(was_read, others_committed):
    log = Log()
    log.commit(assign("production", 1))
    if was_read == "at the start":
        log.commit(assign("production", 2))
    async with following(log) as feed:
        if was_read != "at the start":
            revision, news = log.commit(assign("production", 2))
            if was_read == "as an own commit":
                feed.committed(revision, news)
            assert await feed.wait_for(2, 5)
        del log.revisions[2]
        for number in range(others_committed):
            revision, _ = log.commit(assign("production", 5))
            log.revisions[revision] = tuple(replace(each, request_id=f"r{number}") for each in log.revisions[revision])
        error = await asyncio.wait_for(feed.lost(), 5)
        assert error.reason is Reason.HISTORY_CHANGED
        assert not feed.is_fresh()


async def test_it_goes_on_when_what_it_read_last_was_compacted():
    log = Log()
    log.commit(assign("production", 1))
    async with following(log) as feed:
        log.commit(assign("production", 2))
        assert await feed.wait_for(2, 5)
        log.revisions[2] = ()
        log.commit(assign("production", 3))
        assert await feed.wait_for(3, 5)
        assert feed.is_fresh()
