"""PostgreSQL frozen, cut off, or used up: each call ends in time with a hint, and nothing needs a restart."""

import time
import uuid

import psycopg
import pytest
from sqlalchemy.engine import make_url

from registry_grpc.v1 import models_pb2, projects_pb2
from tests.kit.catalogue import Catalogue, at_once, request_id
from tests.kit.deployments import distributed_settings
from tests.kit.proxy import Proxy
from tests.kit.refusals import Refusal, attempt
from tests.kit.server import running
from tests.kit.waiting import until
from tests.promises.writes.load import creation

THREADS = 8
"""Of the control pool, by default."""
MAX_STALENESS_S = 2.0
GIVEN_UP_S = 6.0 + 2.0 + 2.0
"""One answer waited for, one connection tried, and slack for a busy machine."""


@pytest.fixture
def settings(service_environment):
    with distributed_settings(service_environment) as settings:
        yield settings


@pytest.fixture
def proxied(settings):
    """A server, and the proxy before its database."""
    url = make_url(settings["database_url"])
    with Proxy(f"{url.host}:{url.port}") as proxy:
        through = url.set(port=int(proxy.endpoint.rpartition(":")[2])).render_as_string(hide_password=False)
        with running(settings | {"database_url": through}) as server:
            yield server, proxy


def timed(call, *args, **kwargs):
    began = time.monotonic()
    return attempt(call, *args, **kwargs), time.monotonic() - began


def calls_of(catalogue):
    """A read, a list and a change, none of which memory can answer."""
    api = catalogue.api
    return (
        lambda **limits: api.projects.GetProject(projects_pb2.GetProjectRequest(name=catalogue.parent), **limits),
        lambda **limits: api.models.ListModels(models_pb2.ListModelsRequest(parent=catalogue.parent), **limits),
        lambda **limits: api.models.CreateModel(creation(request_id()), **limits),
    )


def test_a_database_that_takes_bytes_and_answers_none_holds_no_call_and_no_thread_for_ever(proxied):
    server, proxy = proxied
    api = server.api()
    catalogue = Catalogue(api)
    calls = calls_of(catalogue)
    for call in calls:
        call(timeout=5)
    proxy.blackhole()
    # More callers than threads, and patient ones: each hears of it, and none waits for the ones before it.
    waited = at_once(3 * THREADS, lambda number: timed(calls[number % 3], timeout=30))
    assert {(answer.code, answer.reason) for answer, _ in waited} == {("UNAVAILABLE", "DATABASE_UNAVAILABLE")}
    assert all(answer.retry_s for answer, _ in waited)
    assert max(seconds for _, seconds in waited) < GIVEN_UP_S
    # Impatient ones are not kept.
    hasty = at_once(3, lambda number: timed(calls[number], timeout=1))
    assert {answer.code for answer, _ in hasty} <= {"DEADLINE_EXCEEDED", "UNAVAILABLE"}
    assert max(seconds for _, seconds in hasty) < 1.5
    proxy.heal()
    until(lambda: not isinstance(attempt(calls[0], timeout=2), Refusal), within_s=10)
    served = at_once(4 * THREADS, lambda number: attempt(calls[number % 3], timeout=10))
    assert not [each for each in served if isinstance(each, Refusal)]
    assert server.process.poll() is None
    api.close()


def test_when_writes_hold_every_thread_other_calls_are_told_to_come_back_within_two_seconds(settings):
    with running(settings) as server, psycopg.connect(plain(settings["database_url"])) as other:
        api = server.api()
        catalogue = Catalogue(api)
        read = calls_of(catalogue)[0]
        other.execute("SELECT revision FROM log_head FOR UPDATE")
        stuck = [api.models.CreateModel.future(creation(request_id()), timeout=30) for _ in range(THREADS)]
        until(lambda: waiting_for_locks(settings["database_url"]) == THREADS, within_s=10)
        answers = at_once(8, lambda _: timed(read, timeout=10))
        refused = [(answer, seconds) for answer, seconds in answers if isinstance(answer, Refusal)]
        assert refused
        for refusal, seconds in refused:
            assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
            assert refusal.retry_s
            assert seconds < 2
        other.rollback()
        until(lambda: not isinstance(attempt(read, timeout=2), Refusal), within_s=10)
        # The lock limit and the retries of the store end what was stuck, one way or the other.
        ended = [attempt(each.result, timeout=20) for each in stuck]
        assert {each.reason for each in ended if isinstance(each, Refusal)} <= {"TRANSACTION_CONFLICT"}
        api.close()


def test_a_database_without_a_connection_to_spare_is_unavailable_at_once_and_recovers(settings):
    user, password = f"u{uuid.uuid4().hex}", uuid.uuid4().hex
    url = make_url(settings["database_url"])
    as_user = url.set(username=user, password=password).render_as_string(hide_password=False)
    with psycopg.connect(plain(settings["database_url"]), autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        try:
            owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}")
            with running(settings | {"database_url": as_user}) as server:
                api = server.api()
                calls = calls_of(Catalogue(api))
                owner.execute(f"ALTER ROLE {user} CONNECTION LIMIT 0")
                end_sessions(owner, user)
                for call in calls:
                    refusal, seconds = timed(call, timeout=10)
                    assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
                    assert refusal.retry_s
                    assert seconds < 2
                owner.execute(f"ALTER ROLE {user} CONNECTION LIMIT -1")
                for call in calls:
                    until(lambda call=call: not isinstance(attempt(call, timeout=2), Refusal), within_s=10)
                api.close()
            end_sessions(owner, user)
        finally:
            owner.execute(f"DROP OWNED BY {user}")
            owner.execute(f"DROP ROLE {user}")


@pytest.mark.promise("P05", "stalled feed")
def test_while_the_feed_is_stalled_resolve_asks_the_database_and_is_never_stale(proxied, settings):
    server, _ = proxied
    here = Catalogue(server.api())
    model = here.model()
    one, two = here.readies(model, 2)
    here.bring(one.name, "production")
    # The other one knows all this from the start: what it never heard of it would ask the database for anyway.
    with running(settings, failpoints="feed.poll.before=hang@4") as other:
        (other.data_dir / "admin.token").write_text(server.token)
        until(lambda: other.fired["feed.poll.before"], within_s=10)
        there = here.on(other.api())
        here.bring(two.name, "production")
        # Once the feed has been silent for longer than allowed, every answer comes from the database.
        until(lambda: there.resolve(model, stage="production").version == two.name, within_s=MAX_STALENESS_S + 0.5)
        here.bring(one.name, "production")
        answer = there.resolve(model, stage="production")
        assert (answer.version, answer.stale) == (one.name, False)
        here.api.close()
        there.api.close()


def plain(url):
    return url.replace("+psycopg", "")


def waiting_for_locks(url):
    with psycopg.connect(plain(url)) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return connection.execute(query).fetchone()[0]


def end_sessions(owner, user):
    query = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = %s"
    return owner.execute(query, (user,)).fetchone()[0]
