"""Row 54 of the research table: places a caller names are labels. They are kept as text, or refused; never opened.
And durations that no clock can keep, of row 43."""

import socket

import pytest
from google.protobuf.duration_pb2 import Duration

from registry_grpc.v1 import artifacts_pb2, metadata_pb2, versions_pb2
from tests.kit.catalogue import Catalogue
from tests.kit.refusals import refused
from tests.kit.server import running

KEPT = ["file:///etc/passwd", "http://169.254.169.254/latest/meta-data/", "s3://bucket/key?versionId=1#part"]
REFUSED = ["\\\\host\\share", "http://host/\x00", "http://host/a b", "s3://bucket/..\\..\\x", "x" * 4096]


@pytest.fixture(scope="module")
def catalogue():
    with running() as server:
        made = Catalogue(server.api())
        yield made
        made.api.close()


def create(catalogue, model, uri):
    data = metadata_pb2.DatasetVersion(name="rows", uri=uri)
    version = versions_pb2.ModelVersion(provenance=metadata_pb2.Provenance(training_data=[data]))
    return catalogue.api.models.CreateVersion(versions_pb2.CreateVersionRequest(parent=model, version=version))


@pytest.mark.parametrize("uri", KEPT)
def test_a_uri_is_kept_as_text(catalogue, uri):
    made = create(catalogue, catalogue.model(), uri)
    assert catalogue.version(made.name).provenance.training_data[0].uri == uri


@pytest.mark.parametrize("uri", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_uri_is_refused_and_changes_nothing(catalogue, uri):
    model, before = catalogue.model(), catalogue.revision()
    seen = refused(create, catalogue, model, uri)
    assert (seen.code, seen.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD"), seen.text
    assert "version.provenance.training_data[0].uri" in seen.fields
    assert catalogue.revision() == before


@pytest.mark.promise("P14", "messages")
def test_the_server_never_opens_a_uri(catalogue):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(1.0)
        model = catalogue.model()
        create(catalogue, model, f"http://127.0.0.1:{trap.getsockname()[1]}/data")
        catalogue.ready(model)
        with pytest.raises(TimeoutError):
            trap.accept()


@pytest.mark.parametrize("ttl", [Duration(seconds=2**62), Duration(seconds=1, nanos=-1), Duration(seconds=-5)])
def test_row_43_a_duration_no_clock_can_keep_is_refused(catalogue, ttl):
    version = catalogue.ready(catalogue.model())
    listed = catalogue.api.artifacts.ListArtifacts(artifacts_pb2.ListArtifactsRequest(parent=version.name))
    request = artifacts_pb2.SignArtifactUrlRequest(name=listed.artifacts[0].name, ttl=ttl)
    seen = refused(catalogue.api.artifacts.SignArtifactUrl, request)
    assert (seen.code, seen.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD"), seen.text
