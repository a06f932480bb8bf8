"""Uses of versions between two writes: added up, bounded, kept while the database is away, written when all ends."""

import asyncio

import pytest

from registry_grpc.domain.consumers import Counted, Use
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.server import consumer_counts
from registry_grpc.server.consumer_counts import ConsumerCounts


class Book:
    """What was written; refuses while it is `away`."""

    def __init__(self):
        self.written, self.away = [], False
        self.wrote = asyncio.Event()

    async def __call__(self, counted):
        if self.away:
            raise RegistryError(Reason.DATABASE_UNAVAILABLE, "away")
        self.written.append(sorted(counted))
        self.wrote.set()


@pytest.fixture
def book():
    return Book()


@pytest.fixture
async def counts(book):
    return ConsumerCounts(book)


async def test_uses_are_added_up_by_principal_version_and_use(book, counts):
    for _ in range(3):
        counts.resolved("user:ada", "v")
    counts.resolved("user:bob", "v")
    counts.downloaded("user:ada", "v")
    await counts.flush()
    await counts.flush()
    assert book.written == [
        [
            Counted("v", "user:ada", Use.DOWNLOADED, 1),
            Counted("v", "user:ada", Use.RESOLVED, 3),
            Counted("v", "user:bob", Use.RESOLVED, 1),
        ]
    ]


async def test_what_cannot_be_written_is_kept_and_written_later(book, counts):
    counts.resolved("user:ada", "v")
    book.away = True
    await counts.flush()
    counts.resolved("user:ada", "v")
    book.away = False
    await counts.flush()
    assert book.written == [[Counted("v", "user:ada", Use.RESOLVED, 2)]]


async def test_memory_is_bounded_and_a_full_one_is_written_at_once(book, counts, monkeypatch):
    monkeypatch.setattr(consumer_counts, "MAX_KEYS", 3)
    counts.start()
    for number in range(5):
        counts.resolved(f"user:{number}", "v")
    await asyncio.wait_for(book.wrote.wait(), 10)
    await counts.stop()
    assert [len(each) for each in book.written] == [3]


async def test_stopping_writes_what_is_left(book, counts):
    counts.start()
    counts.downloaded("user:ada", "v")
    await counts.stop()
    assert book.written == [[Counted("v", "user:ada", Use.DOWNLOADED, 1)]]
