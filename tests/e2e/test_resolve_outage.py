"""Resolve while PostgreSQL is away: the last known answer, marked; everything else unavailable, and soon."""

import os
import signal
import time
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from registry_grpc.v1 import models_pb2, stages_pb2
from tests.kit import engines
from tests.kit.catalogue import Catalogue
from tests.kit.refusals import refused
from tests.kit.server import distributed, running
from tests.kit.waiting import until

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def postgres():
    with engines.private_postgres() as postgres:
        yield postgres


@pytest.fixture
def server(postgres, minio_bucket):
    with engines.fresh_database(postgres.url) as url, running(distributed(url, minio_bucket)) as server:
        yield server
        # Whatever the test did to it: the database is dropped next.
        if not postgres.is_running():
            postgres.start()


def health_of(api, service):
    stub = health_pb2_grpc.HealthStub(api.channel)
    return stub.Check(health_pb2.HealthCheckRequest(service=service)).status


def timed(call, *arguments, **fields):
    began = time.monotonic()
    return call(*arguments, **fields), time.monotonic() - began


@pytest.mark.promise("P05", "stale")
def test_with_the_database_gone_known_stages_resolve_stale_and_all_recovers_without_a_restart(server, postgres):
    api = server.api()
    catalogue = Catalogue(api)
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    catalogue.bring(one.name, "production")
    catalogue.alias(model, champion=1)
    catalogue.promote(two.name, "staging")
    held = catalogue.resolve(model, stage="production")
    assert health_of(api, "registry_grpc.v1") == SERVING

    postgres.kill()
    stale = until(lambda: (a := catalogue.resolve(model, stage="production")).stale and a, within_s=10)
    stale.stale = False
    assert stale == held
    for question in ({"stage": "production"}, {"alias": "champion"}, {"reference": "staging"}, {"alias": "latest"}):
        request = stages_pb2.ResolveRequest(name=model, **question)
        answer, seconds = timed(api.stages.Resolve, request, timeout=2)
        assert answer.stale
        assert answer.version
        assert seconds < 2
    since = stages_pb2.ResolveRequest(
        name=model, stage="production", if_changed_since=held.pointer_revision, min_revision=held.pointer_revision
    )
    assert api.stages.Resolve(since) == stages_pb2.ResolveResponse(
        unchanged=True, stale=True, pointer_revision=held.pointer_revision
    )
    for call, arguments, fields in (
        (catalogue.resolve, (model,), {"version": 1}),
        (catalogue.resolve, (model,), {"stage": "canary"}),
        (catalogue.resolve, (f"{catalogue.parent}/models/unknown",), {"stage": "production"}),
        (catalogue.resolve, (model,), {"stage": "production", "view": stages_pb2.RESOLVE_VIEW_FULL}),
        (catalogue.promote, (two.name, "production"), {}),
        (catalogue.model, (), {}),
        (catalogue.alias, (model,), {"champion": 2}),
        (catalogue.versions, (model,), {}),
    ):
        gone, seconds = timed(refused, call, *arguments, **fields)
        assert (gone.code, gone.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE"), gone.text
        assert gone.retry_s
        assert seconds < 3
    until(lambda: health_of(api, "registry_grpc.v1") == NOT_SERVING, within_s=5)
    assert health_of(api, "liveness") == SERVING

    postgres.start()
    until(lambda: health_of(api, "registry_grpc.v1") == SERVING, within_s=15)
    until(lambda: not catalogue.resolve(model, stage="production").stale, within_s=5)
    catalogue.promote(two.name, "production")
    assert catalogue.resolve(model, stage="production").version == two.name
    assert server.process.poll() is None
    api.close()


@pytest.mark.promise("P05", "stale")
def test_with_the_database_frozen_a_known_stage_still_resolves_within_its_deadline(server, postgres):
    api = server.api()
    catalogue = Catalogue(api)
    model = catalogue.model()
    one = catalogue.ready(model)
    catalogue.bring(one.name, "production")
    request = stages_pb2.ResolveRequest(name=model, stage="production")
    frozen = descendants(postgres.pid())
    for process in frozen:
        os.kill(process, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            answer, seconds = timed(api.stages.Resolve, request, timeout=3)
            assert answer.version == one.name
            assert seconds < 3
            if answer.stale:
                break
        assert answer.stale
        for _ in range(3):
            assert api.stages.Resolve(request, timeout=3).stale
    finally:
        for process in frozen:
            os.kill(process, signal.SIGCONT)
    until(lambda: not api.stages.Resolve(request).stale, within_s=15)
    made = models_pb2.CreateModelRequest(parent=catalogue.parent, model_id="after")
    assert api.models.CreateModel(made, timeout=10).name
    api.close()


def descendants(root):
    """`root` and its children: PostgreSQL's own processes."""
    children = Path(f"/proc/{root}/task/{root}/children").read_text()
    return [root, *map(int, children.split())]
