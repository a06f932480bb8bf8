"""Lists over real servers: keyset pages, in both directions, while others write."""

import threading

import pytest

from registry_grpc.v1 import models_pb2, projects_pb2, versions_pb2
from tests.kit.catalogue import Catalogue, new_id
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.refusals import refused


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def api(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        api = server.api()
        yield api
        api.close()


@pytest.fixture
def catalogue(api):
    return Catalogue(api)


def walk(method, request, between=lambda: None):
    """Items of every page, and the pages' lengths."""
    found, sizes = [], []
    while True:
        answer = method(request)
        items = next(value for field, value in answer.ListFields() if field.message_type)
        found += items
        sizes.append(len(items))
        if not answer.next_page_token:
            return found, sizes
        request.page_token = answer.next_page_token
        between()


class Adding:
    """Adds something all the time, until the block ends."""

    def __init__(self, add):
        self._add = add
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.added = []

    def _run(self):
        while not self._stop.is_set():
            self.added.append(self._add())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize("order", ["", "name", "name desc"])
def test_models_are_listed_once_each_while_others_are_created(catalogue, order):
    names = {catalogue.model(f"m{n:03}") for n in range(120)}
    with Adding(lambda: catalogue.model(new_id("x"))):
        request = models_pb2.ListModelsRequest(parent=catalogue.parent, page_size=7, order_by=order)
        found = [m.name for m in walk(catalogue.api.models.ListModels, request)[0]]
    assert len(found) == len(set(found))
    assert found == sorted(found, reverse=order.endswith("desc"))
    assert names <= set(found)


@pytest.mark.parametrize("order", ["", "number desc", "number asc"])
def test_versions_are_listed_once_each_while_others_are_created(catalogue, order):
    model = catalogue.model()
    for _ in range(120):
        catalogue.draft(model)
    with Adding(lambda: catalogue.draft(model)):
        request = versions_pb2.ListVersionsRequest(parent=model, page_size=11, order_by=order)
        found = [v.number for v in walk(catalogue.api.models.ListVersions, request)[0]]
    assert found == sorted(set(found), reverse=order != "number asc")
    assert set(range(1, 121)) <= set(found)


def test_a_page_has_as_many_items_as_asked_for_and_the_last_has_no_token(catalogue):
    for number in range(6):
        catalogue.model(f"m{number}")
    method = catalogue.api.models.ListModels
    for size, sizes in ((3, [3, 3]), (4, [4, 2]), (6, [6]), (0, [6]), (2**31 - 1, [6])):
        request = models_pb2.ListModelsRequest(parent=catalogue.parent, page_size=size)
        assert walk(method, request)[1] == sizes


def test_an_item_deleted_between_pages_is_left_out_and_nothing_else_is(catalogue):
    model = catalogue.model()
    drafts = [catalogue.draft(model) for _ in range(6)]
    pending = [drafts[1].name, drafts[4].name]
    request = versions_pb2.ListVersionsRequest(parent=model, page_size=2)
    found, _ = walk(catalogue.api.models.ListVersions, request, lambda: pending and catalogue.delete(pending.pop(0)))
    assert [v.number for v in found] == [6, 5, 4, 3, 1]


def test_versions_are_listed_by_state_and_stage(catalogue):
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    draft = catalogue.draft(model)
    catalogue.promote(two.name, "staging")
    assert [v.number for v in catalogue.versions(model, states=["VERSION_STATE_DRAFT"])] == [draft.number]
    assert [v.number for v in catalogue.versions(model, states=["VERSION_STATE_READY"])] == [2, 1]
    assert [v.number for v in catalogue.versions(model, stage="development")] == [one.number]
    assert not catalogue.versions(model, stage="production")


def test_projects_and_aliases_have_pages_too(catalogue, api):
    names = sorted(Catalogue(api).parent for _ in range(5))
    request = projects_pb2.ListProjectsRequest(page_size=2)
    found = [p.name for p in walk(api.projects.ListProjects, request)[0]]
    assert found == sorted(found)
    assert set(names) <= set(found)
    backwards = walk(api.projects.ListProjects, projects_pb2.ListProjectsRequest(page_size=3, order_by="name desc"))
    assert [p.name for p in backwards[0]] == found[::-1]
    model = catalogue.model()
    catalogue.ready(model)
    catalogue.alias(model, **{f"a{n}": 1 for n in range(7)})
    aliases, sizes = walk(api.models.ListAliases, models_pb2.ListAliasesRequest(parent=model, page_size=3))
    assert sizes == [3, 3, 1]
    assert [a.name.rpartition("/")[2] for a in aliases] == [f"a{n}" for n in range(7)]


def test_lists_of_what_does_not_exist_are_not_found(catalogue, api):
    absent = f"projects/{new_id('p')}"
    assert refused(api.models.ListModels, models_pb2.ListModelsRequest(parent=absent)).reason == "PROJECT_NOT_FOUND"
    missing = f"{catalogue.parent}/models/none"
    assert refused(catalogue.versions, missing).reason == "MODEL_NOT_FOUND"
    assert refused(api.models.ListAliases, models_pb2.ListAliasesRequest(parent=missing)).reason == "MODEL_NOT_FOUND"
    assert not api.models.ListModels(models_pb2.ListModelsRequest(parent=catalogue.parent)).models
