"""Rows 35, 36, 74 and 75 of the table of hostile inputs: filters, orders, ranges and signed URLs. P14."""

import time
from urllib.parse import urlsplit

import pytest
import urllib3
from google.protobuf.duration_pb2 import Duration

from registry_grpc.v1 import artifacts_pb2, catalogue_pb2, models_pb2, projects_pb2, versions_pb2
from tests.kit.catalogue import Catalogue
from tests.kit.deployments import DISTRIBUTED, deployed
from tests.kit.refusals import refused
from tests.kit.searching import Searcher, short
from tests.kit.server import running
from tests.kit.uploads import Content, Registry
from tests.kit.waiting import until

MIB = 1 << 20
BOUNDED_S = 1.0
FILTERS = {
    "10,000 ORs": "a OR " * 10_000 + "b",
    "1 MiB": "a" * MIB,
    "1 MiB of brackets": "(" * (MIB // 2) + ")" * (MIB // 2),
    "1,000 brackets": "(" * 500 + ")" * 500,
    "SQL": "name = '; DROP TABLE version; --",
    "wildcards": "name = '%' OR name = '_'",
    "regex": "name =~ '(a+)+$' AND name = '" + "a" * 1000 + "!'",
    "NUL": "name = '\0'",
}
LITERALS = ("'; DROP TABLE version; --", "%", "_", "(a+)+$", "*", "\\", "$1", "{}", '"', "é%s")
ORDERS = {
    "SQL": "number; DROP TABLE version",
    "subquery": "(SELECT secret_hash FROM token)",
    "case": "CASE WHEN 1=1 THEN number END",
    "unknown": "secret_hash",
    "twice": "number, number desc, number",
    "1 MiB": "number," * (MIB // 7),
    "NUL": "number\0",
}


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def catalogue(server):
    made = Catalogue(server.api())
    made.ready(made.model())
    yield made
    made.api.close()


def lists_of(catalogue):
    """The lists that take a filter and an order."""
    api, model = catalogue.api, catalogue.model()
    return (
        lambda **asked: api.projects.ListProjects(projects_pb2.ListProjectsRequest(**asked)),
        lambda **asked: api.models.ListModels(models_pb2.ListModelsRequest(parent=catalogue.parent, **asked)),
        lambda **asked: api.models.ListVersions(versions_pb2.ListVersionsRequest(parent=model, **asked)),
        lambda **asked: api.catalogue.SearchVersions(
            catalogue_pb2.SearchVersionsRequest(parent=catalogue.parent, **asked)
        ),
        lambda **asked: api.catalogue.SearchModels(catalogue_pb2.SearchModelsRequest(parent=catalogue.parent, **asked)),
    )


def refused_within(catalogue, call, **asked):
    """How the call is refused, which must be soon and without effect."""
    before, began = catalogue.revision(), time.monotonic()
    seen = refused(call, **asked)
    assert time.monotonic() - began < BOUNDED_S
    assert catalogue.revision() == before
    return seen


@pytest.mark.promise("P14", "messages")
@pytest.mark.parametrize("text", FILTERS.values(), ids=FILTERS.keys())
def test_row_35_any_filter_is_refused_soon_and_changes_nothing(catalogue, text):
    """Projects cannot be filtered at all; elsewhere it is the filter that is at fault."""
    for call in lists_of(catalogue):
        seen = refused_within(catalogue, call, filter=text)
        assert (seen.code, seen.reason) in {
            ("UNIMPLEMENTED", "FEATURE_DISABLED"),
            ("INVALID_ARGUMENT", "INVALID_FIELD"),
            ("INVALID_ARGUMENT", "INVALID_FILTER"),
        }, seen.text


@pytest.mark.promise("P14", "messages")
@pytest.mark.parametrize("value", LITERALS)
def test_row_35_what_looks_like_code_or_a_pattern_is_a_text_like_any_other(catalogue, value):
    model = catalogue.model()
    made = catalogue.draft(model, owner=value, tags={value: value}, description=value)
    catalogue.draft(model, owner="x", tags={"x": "x"})
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("*", "\\*") + '"'
    search = Searcher(catalogue.api, catalogue.parent)
    of_model = f"model = {model.rpartition('/')[2]}"
    for asked in (f"owner = {quoted}", f"owner:{quoted}", f"tags.{quoted} = {quoted}", f"description = {quoted}"):
        began = time.monotonic()
        assert search.found(f"{of_model} AND {asked}") == [short(made.name)], asked
        assert time.monotonic() - began < BOUNDED_S


@pytest.mark.promise("P14", "messages")
@pytest.mark.parametrize("text", ORDERS.values(), ids=ORDERS.keys())
def test_row_36_an_order_of_unknown_fields_is_refused_and_changes_nothing(catalogue, text):
    for call in lists_of(catalogue):
        seen = refused_within(catalogue, call, order_by=text)
        assert seen.code == "INVALID_ARGUMENT", seen.text
        assert seen.reason in {"INVALID_ORDER_BY", "INVALID_FIELD"}, seen.text


@pytest.mark.promise("P14", "messages")
def test_row_74_a_thousand_overlapping_ranges_are_a_thousand_reads_and_each_gets_its_bytes(server):
    registry = Registry.of(server)
    content = Content(100_000)
    artifact = registry.push(registry.draft(), "weights.bin", content)
    request = artifacts_pb2.ReadArtifactRequest
    for first in range(0, 50_000, 5_000):
        offsets = range(first, first + 5_000, 50)
        calls = [
            registry.api.artifacts.ReadArtifact(request(name=artifact.name, read_offset=offset, read_limit=50_000))
            for offset in offsets
        ]
        for offset, call in zip(offsets, calls, strict=True):
            assert b"".join(each.chunk.content for each in call) == content.whole[offset : offset + 50_000]
    registry.api.close()


@pytest.fixture(scope="module")
def signed(service_environment):
    """A registry over MinIO, a file in it, and what signs a URL of the file that works for so many seconds."""
    endpoint = service_environment["MREG_TEST_MINIO_ENDPOINT"]
    with deployed(DISTRIBUTED, service_environment, s3_public_endpoint=f"http://{endpoint}") as server:
        registry, content = Registry.of(server), Content(100_000)
        artifact = registry.push(registry.draft(), "weights.bin", content)

        def sign(seconds):
            asked = artifacts_pb2.SignArtifactUrlRequest(name=artifact.name, ttl=Duration(seconds=seconds))
            return registry.api.artifacts.SignArtifactUrl(asked).url

        yield content, sign
        registry.api.close()


@pytest.mark.promise("P14", "messages")
def test_row_75_a_signed_url_is_worth_nothing_after_its_time(signed):
    content, sign = signed
    url = sign(1)
    with urllib3.PoolManager(retries=False) as pool:
        until(lambda: pool.request("GET", url).status == 403, within_s=5, every_s=0.1)
        assert pool.request("GET", url).status == 403
        # It was its time that made the difference.
        assert pool.request("GET", sign(60)).data == content.whole


@pytest.mark.promise("P14", "messages")
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "HEAD"])
def test_row_75_a_signed_url_is_good_for_get_only(signed, method):
    content, sign = signed
    url = sign(60)
    with urllib3.PoolManager(retries=False) as pool:
        assert pool.request(method, url, body=b"mine" if method in {"PUT", "POST"} else None).status in {400, 403}
        assert pool.request("GET", url).data == content.whole


@pytest.mark.promise("P14", "messages")
def test_row_75_a_signed_url_is_good_for_one_object_only(signed):
    content, sign = signed
    url = urlsplit(sign(60))
    directory, _, key = url.path.rpartition("/")
    elsewhere = [
        f"{directory}/{key[:-1]}",
        f"{directory}/{key}0",
        f"{directory}/",
        f"/{url.path.split('/')[1]}",
        "/",
    ]
    with urllib3.PoolManager(retries=False) as pool:
        for path in elsewhere:
            assert pool.request("GET", url._replace(path=path).geturl()).status in {400, 403}, path
        versions = url._replace(query=url.query + "&acl")
        assert pool.request("GET", versions.geturl()).status == 403
        assert pool.request("GET", url.geturl()).data == content.whole


@pytest.mark.promise("P14", "messages")
def test_row_74_many_ranges_of_a_signed_url_never_bring_more_than_the_file(signed):
    content, sign = signed
    ranges = ",".join(f"{start}-" for start in range(500))
    with urllib3.PoolManager(retries=False) as pool:
        reply = pool.request("GET", sign(60), headers={"range": f"bytes={ranges}"})
        assert reply.status in {200, 206, 416}
        assert len(reply.data) <= len(content.whole)
