"""Rates and numbers of streams: the buckets by a clock of the test's own, and refusals of a real server."""

from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.tenancy import Quotas
from registry_grpc.observability.metrics import Metrics
from registry_grpc.server.limits import Limits, project_of
from tests.contract.store.builders import project


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def limits(clock, **given):
    return Limits(Metrics(CollectorRegistry(), "test"), clock=clock, **given)


def quotas(it, name="p", revision=1, action=Action.UPDATED, **given):
    event = SimpleNamespace(
        after=project(name, quotas=Quotas(**given), revision=revision), revision=revision, action=action
    )
    it.apply([event])


def refused(call):
    with pytest.raises(RegistryError) as caught:
        call()
    return caught.value


def test_a_principal_gets_two_seconds_worth_at_once_and_then_the_rate(clock):
    it = limits(clock, calls_per_second=5)
    for _ in range(10):
        it.admit("user:ada")
    error = refused(lambda: it.admit("user:ada"))
    assert (error.reason, error.retry_after_s) == (Reason.RATE_LIMITED, pytest.approx(0.2))
    it.admit("user:bob")
    clock.now += 0.2
    it.admit("user:ada")
    # Who waits as long as he is told is served, however long he calls.
    for _ in range(100):
        error = refused(lambda: it.admit("user:ada"))
        clock.now += error.retry_after_s
        it.admit("user:ada")
    clock.now += 1000
    for _ in range(10):
        it.admit("user:ada")
    assert refused(lambda: it.admit("user:ada")).reason is Reason.RATE_LIMITED


def test_without_a_limit_nothing_is_remembered(clock):
    it = limits(clock)
    for number in range(1000):
        it.admit(f"user:{number}")
        it.enter("projects/p/models/m")
    assert not it._principals
    assert not it._projects
    assert it.gate("user:1", "projects/p/models/m") is None


def test_the_quota_of_a_project_counts_all_its_callers_and_follows_its_changes(clock):
    it = limits(clock)
    quotas(it, revision=3, max_calls_per_second=1)
    it.enter("projects/p/models/m")
    it.enter("projects/p")
    assert refused(lambda: it.enter("projects/p/models/m/versions/1")).reason is Reason.RATE_LIMITED
    it.enter("projects/other/models/m")
    it.enter("")
    quotas(it, revision=2, max_calls_per_second=0)  # older news
    assert refused(lambda: it.enter("projects/p")).reason is Reason.RATE_LIMITED
    quotas(it, revision=4)
    it.enter("projects/p")


def test_streams_are_counted_until_they_end(clock):
    it = limits(clock, max_streams=2)
    quotas(it, max_open_streams=1)
    it.admit("user:ada", "first")
    it.enter("projects/p/uploads/u", "first")
    it.admit("user:ada", "second")
    assert refused(lambda: it.enter("projects/p/uploads/v", "second")).reason is Reason.TOO_MANY_STREAMS
    assert refused(lambda: it.admit("user:ada", "third")).reason is Reason.TOO_MANY_STREAMS
    it.leave("third")
    it.leave("second")
    it.leave("first")
    it.admit("user:ada", "fourth")
    it.enter("projects/p/uploads/v", "fourth")
    it.leave("fourth")
    assert not it._open
    assert not it._streams


def test_principals_without_number_do_not_fill_the_memory(clock):
    it = limits(clock, calls_per_second=1)
    for number in range(25_000):
        it.admit(f"user:{number}")
    assert len(it._principals) <= 10_000


def test_a_limit_that_comes_or_goes_makes_old_decisions_void(clock):
    it = limits(clock)
    before = it.version
    quotas(it, revision=1, max_calls_per_second=1)
    assert it.version > before
    gate = it.gate("user:ada", "projects/p/models/m")
    assert [gate(), gate(), gate()] == [True, True, False]
    before = it.version
    quotas(it, revision=2, action=Action.DELETED, max_calls_per_second=1)
    assert it.version > before
    assert it.gate("user:ada", "projects/p/models/m") is None


@pytest.mark.parametrize(
    ("resource", "expected"), [("projects/p", "p"), ("projects/p/models/m", "p"), ("", ""), ("projects", "")]
)
def test_the_project_of_a_name(resource, expected):
    assert project_of(resource) == expected
