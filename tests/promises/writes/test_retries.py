"""P04: a mutation whose answer got lost is repeated under its request_id: one effect, the first answer."""

import time

import grpc
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.kit.catalogue import Catalogue, request_id
from tests.kit.deployments import DEPLOYMENTS, deployed, distributed_settings
from tests.kit.proxy import Proxy
from tests.kit.refusals import attempt, refused
from tests.kit.server import WithToken, running
from tests.kit.waiting import until
from tests.promises.writes.evidence_mutations import EMPTY_EVIDENCE_ANSWERS
from tests.promises.writes.governance_mutations import EMPTY_GOVERNANCE_ANSWERS
from tests.promises.writes.lineage_mutations import EMPTY_LINEAGE_ANSWERS
from tests.promises.writes.load import creation, database_of
from tests.promises.writes.mutations import CASES, READS, WITHOUT_REQUEST_ID, every_method
from tests.promises.writes.tenant_mutations import PURGES
from tests.promises.writes.webhook_mutations import EMPTY_ANSWERS


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        yield server


@pytest.fixture(scope="module")
def count(server):
    """How many rows of a table carry a request_id."""
    engine = create_engine(database_of(server))

    def ask(asked, table, what="*"):
        with engine.connect() as connection:
            query = text(f"SELECT count({what}) FROM {table} WHERE request_id = :id")  # noqa: S608 - our own names
            return connection.execute(query, {"id": asked}).scalar_one()

    yield ask
    engine.dispose()


@pytest.fixture
def catalogue(server):
    api = server.api()
    yield Catalogue(api)
    api.close()


def raw(channel, method):
    """The method with its answers as the bytes that came."""
    return channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=bytes,
    )


def through(proxy, server):
    channel = grpc.insecure_channel(proxy.endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
    grpc.channel_ready_future(channel).result(timeout=10)
    return channel, grpc.intercept_channel(channel, WithToken(server.token))


def test_every_mutation_of_the_contract_has_a_case():
    methods = every_method()
    with_id = {name for name, method in methods.items() if "request_id" in method.input_type.fields_by_name}
    assert with_id == set(CASES) | set(PURGES)
    assert set(methods) - with_id == READS | WITHOUT_REQUEST_ID


@pytest.mark.promise("P04", "dropped replies")
@pytest.mark.promise("P04", "other body")
@pytest.mark.parametrize("name", CASES)
def test_a_mutation_whose_reply_was_dropped_takes_effect_once_and_answers_as_it_would_have(
    server, catalogue, count, name
):
    method = every_method()[name]
    request, other_fields = CASES[name](catalogue)
    request.request_id = asked = request_id()
    with Proxy(server.endpoint) as proxy:
        plain, channel = through(proxy, server)
        proxy.fault(swallow_replies=True)
        lost = raw(channel, method).future(request, timeout=30)
        until(lambda: count(asked, "idempotency"), within_s=10)
        assert not lost.done()
        proxy.cut()
        assert lost.exception(timeout=10).code() is grpc.StatusCode.UNAVAILABLE
        plain.close()
    before = catalogue.revision()
    call = raw(catalogue.api.channel, method)
    first, second = call(request, timeout=10), call(request, timeout=10)
    assert first or name in EMPTY_ANSWERS | EMPTY_EVIDENCE_ANSWERS | EMPTY_GOVERNANCE_ANSWERS | EMPTY_LINEAGE_ANSWERS
    assert first == second
    # StartUpload takes no revision: nothing of the registry has changed yet.
    revisions = 0 if name == "ArtifactService.StartUpload" else 1
    assert count(asked, "event", "DISTINCT revision") == revisions
    assert count(asked, "audit") == revisions
    assert count(asked, "idempotency") == 1
    other = type(request)(**other_fields)
    changed = type(request)()
    changed.CopyFrom(request)
    for field in other_fields:
        changed.ClearField(field)
    changed.MergeFrom(other)
    refusal = refused(call, changed, timeout=10)
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert catalogue.revision() == before


@pytest.mark.promise("P04", "dropped replies")
@pytest.mark.parametrize("name", PURGES)
def test_a_purge_whose_reply_was_dropped_removes_once_and_may_be_asked_for_again(server, catalogue, count, name):
    method = every_method()[name]
    request, other_fields = PURGES[name](catalogue)
    request.request_id = asked = request_id()
    with Proxy(server.endpoint) as proxy:
        plain, channel = through(proxy, server)
        proxy.fault(swallow_replies=True)
        lost = raw(channel, method).future(request, timeout=30)
        until(lambda: count(asked, "idempotency"), within_s=10)
        assert not lost.done()
        proxy.cut()
        assert lost.exception(timeout=10).code() is grpc.StatusCode.UNAVAILABLE
        plain.close()
    before = catalogue.revision()
    call = raw(catalogue.api.channel, method)
    assert call(request, timeout=10) == call(request, timeout=10) == b""
    assert catalogue.revision() == before
    changed = type(request)(**{field: getattr(request, field) for field in ("name", "request_id")} | other_fields)
    assert refused(call, changed, timeout=10).reason == "REQUEST_ID_REUSED"
    # Under another id it is a new question, about what is not there.
    request.request_id = request_id()
    assert refused(call, request, timeout=10).code == "NOT_FOUND"


@pytest.fixture
def behind_a_proxy(service_environment):
    """A server on PostgreSQL with a proxy before its database."""
    with distributed_settings(service_environment) as settings:
        url = make_url(settings["database_url"])
        with Proxy(f"{url.host}:{url.port}") as proxy:
            through = url.set(port=int(proxy.endpoint.rpartition(":")[2])).render_as_string(hide_password=False)
            with running(settings | {"database_url": through}, failpoints="write.answer.after=sleep(0.4)") as server:
                until(lambda: is_at_rest(server), within_s=30)
                yield server, proxy, settings["database_url"]


def is_at_rest(server):
    """Whether no job of a server that just began wrote in two seconds: their transactions pass the failpoint too."""
    before = server.fired["write.answer.after"]
    time.sleep(2)
    return server.fired["write.answer.after"] == before


def models_of(url):
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.scalars(text("SELECT id FROM model")).all()
        effects = connection.scalars(text("SELECT request_id FROM event WHERE request_id <> ''")).all()
    engine.dispose()
    return sorted(found), sorted(effects)


def reply_lost(proxy, call, committed):
    proxy.fault(swallow_replies=True)
    until(committed, within_s=10)
    proxy.cut()


def commit_lost(proxy, call, committed):
    proxy.cut()


def commit_held(proxy, call, committed):
    """Until the server gives the database up by itself; the COMMIT may still arrive when the line is healed."""
    proxy.blackhole()
    until(call.done, within_s=15)


@pytest.mark.promise("P04", "unknown commit")
@pytest.mark.parametrize("happens", [reply_lost, commit_lost, commit_held])
def test_a_commit_whose_outcome_the_server_cannot_know_is_answered_truly_or_can_be_repeated(behind_a_proxy, happens):
    server, proxy, url = behind_a_proxy
    api = server.api()
    request = creation(request_id())
    fired = server.fired["write.answer.after"]
    call = api.models.CreateModel.future(request, timeout=20)
    # The transaction is whole but for its COMMIT, which waits at the failpoint.
    until(lambda: server.fired["write.answer.after"] > fired, within_s=10)
    happens(proxy, call, lambda: request.request_id in models_of(url)[1])
    outcome = attempt(call.result)
    proxy.heal()
    again = api.models.CreateModel(request, timeout=20)
    if happens is reply_lost:
        assert outcome in (again, if_unavailable(outcome))
    else:
        assert if_unavailable(outcome) == outcome
    models, effects = models_of(url)
    assert len(models) == 1
    assert effects == [request.request_id]
    api.close()


def if_unavailable(outcome):
    """`outcome`, when it is the honest way to say that nobody knows."""
    honest = ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
    return outcome if (getattr(outcome, "code", ""), getattr(outcome, "reason", "")) == honest else None
