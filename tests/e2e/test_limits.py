"""Rate limits as callers meet them: RESOURCE_EXHAUSTED with the time to wait, and no way round by Resolve."""

import time

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.v1 import models_pb2, projects_pb2
from tests.kit.catalogue import Catalogue
from tests.kit.server import running
from tests.kit.uploads import Content, Held, Registry, outcome, part_of_stream, refusal_of
from tests.kit.waiting import metric, until

MIB = 1 << 20


def limit(catalogue, **quotas):
    request = projects_pb2.UpdateProjectRequest(
        project=projects_pb2.Project(name=catalogue.parent, quotas=projects_pb2.Quotas(**quotas)),
        update_mask=FieldMask(paths=["quotas"]),
    )
    catalogue.api.projects.UpdateProject(request)


@pytest.fixture(scope="module")
def server():
    with running() as process:
        yield process


def drained(call, most):
    """The refusal that ends at most so many calls."""
    for _ in range(most):
        found = outcome(call)
        if getattr(found, "reason", ""):
            return found
    pytest.fail("nothing was refused")


@pytest.mark.parametrize("question", [{"stage": "production"}, {"version": 1}])
def test_a_project_over_its_rate_is_told_when_to_come_back_and_others_are_served(server, question):
    api = server.api()
    catalogue, other = Catalogue(api), Catalogue(api)
    models = []
    for each in (catalogue, other):
        model = each.model()
        each.bring(each.ready(model).name, "production")
        models.append(model)
    for _ in range(3):
        catalogue.resolve(models[0], **question)  # its plan is kept, from before the limit
    limit(catalogue, max_calls_per_second=5)

    def told(name, **labels):
        return metric(server.metrics_port, name, **labels)

    def counts():
        resolved = sum(told("registry_resolve_total", source=source, result="ok") for source in ("cache", "db"))
        return resolved, told("grpc_server_handled_total", grpc_method="Resolve", grpc_code="OK")

    before = counts()
    over = drained(lambda: catalogue.resolve(models[0], **question), 200)
    assert (over.code, over.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    # A refused one counts as no read.
    resolved, answered = (now - then for now, then in zip(counts(), before, strict=True))
    assert resolved == answered > 0
    assert 0 < over.retry_s <= 0.25
    for _ in range(50):
        other.resolve(models[1], **question)
    time.sleep(over.retry_s)
    until(lambda: outcome(lambda: catalogue.resolve(models[0], **question)).version_number == 1, within_s=10)
    limit_of = metric(server.metrics_port, 'registry_limited_total{limit="project_calls"}')
    assert limit_of >= 1
    drained(lambda: api.models.ListModels(models_pb2.ListModelsRequest(parent=catalogue.parent)), 200)


def test_the_rate_of_a_principal_holds_for_all_its_calls():
    with running({"calls_per_second_per_principal": "20"}) as server:
        api = server.api()
        over = drained(lambda: api.projects.ListProjects(projects_pb2.ListProjectsRequest()), 500)
        assert (over.code, over.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
        assert 0 < over.retry_s <= 0.1


def test_streams_of_a_project_and_of_a_principal_are_counted_and_come_free():
    with running({"max_streams_per_principal": "3"}) as server:
        registry = Registry.of(server)
        catalogue = Catalogue(registry.api)
        limit(catalogue, max_open_streams=1)
        content = Content(4 * MIB)

        def upload(parent):
            name = registry.start(registry.draft(parent), "a", content.size_bytes).name
            return Held(part_of_stream(name, content, 0, MIB))

        first = upload(catalogue.parent)
        running_one = registry.writing(first)
        until(lambda: metric(server.metrics_port, "registry_uploads_in_progress") == 1, within_s=10)
        second = upload(catalogue.parent)
        full = refusal_of(registry.writing(second).exception(timeout=10))
        second.let_go()
        assert (full.code, full.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS")
        assert full.retry_s
        others = [upload("projects/default") for _ in range(3)]
        calls = [registry.writing(each) for each in others]
        refusals = []
        until(lambda: any(call.done() for call in calls), within_s=10)
        refusals = [refusal_of(call.exception()) for call in calls if call.done()]
        assert {each.reason for each in refusals} == {"TOO_MANY_STREAMS"}
        for held in (first, *others):
            held.let_go()
        for call in (running_one, *calls):
            call.cancel()
        until(lambda: metric(server.metrics_port, "registry_uploads_in_progress") == 0, within_s=10)
        again = upload(catalogue.parent)
        call = registry.writing(again)
        until(lambda: metric(server.metrics_port, "registry_uploads_in_progress") == 1, within_s=10)
        again.let_go()
        call.cancel()
