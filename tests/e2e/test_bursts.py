"""Many callers at the same moment on a server with its default settings."""

import pytest

from registry_grpc.v1 import versions_pb2
from tests.kit.catalogue import Catalogue, request_id
from tests.kit.deployments import DEPLOYMENTS, deployed

BURST = 64


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        yield server


def test_a_burst_of_creations_in_one_model_is_served_whole_and_repeated_calls_get_the_same_answers(server):
    api = server.api()
    catalogue = Catalogue(api)
    model = catalogue.model()
    requests = [versions_pb2.CreateVersionRequest(parent=model, request_id=request_id()) for _ in range(BURST)]
    first = [call.result() for call in [api.models.CreateVersion.future(each, timeout=10) for each in requests]]
    again = [call.result() for call in [api.models.CreateVersion.future(each, timeout=10) for each in requests]]
    assert sorted(version.number for version in first) == list(range(1, BURST + 1))
    assert again == first
    assert sorted(version.number for version in catalogue.versions(model, page_size=100)) == list(range(1, BURST + 1))
    api.close()
