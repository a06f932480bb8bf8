"""Reading files: ranges, guards, damage that must be told, and URLs that open one file only."""

import contextlib
import io
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import urllib3
from google.protobuf.duration_pb2 import Duration

from registry_grpc.domain.garbage import MARKER_KEY
from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit import engines
from tests.kit.server import distributed, running
from tests.kit.stored import stored_files
from tests.kit.uploads import DEPLOYMENTS, MIB, PART, Content, Registry, deployed, refused

SIZE = 2 * PART + 1000
MAX_INT64 = (1 << 63) - 1


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def registry(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield Registry.of(server)


@pytest.fixture(scope="module")
def file(registry):
    content = Content(SIZE)
    return content, registry.push(registry.draft(), "weights/model.bin", content)


RANGES = {
    "whole": (0, 0),
    "first byte": (0, 1),
    "last byte": (SIZE - 1, 0),
    "last byte by limit": (SIZE - 1, 1),
    "limit beyond the end": (SIZE - 5, MAX_INT64),
    "across a block": (PART - 1, 2),
    "one block": (PART, PART),
    "inside a block": (PART + 12_345, 54_321),
    "across two blocks": (PART - 10, PART + 20),
    "more than a chunk": (3, MIB + 1),
}


@pytest.mark.parametrize(("offset", "limit"), RANGES.values(), ids=RANGES.keys())
def test_a_range_is_exactly_those_bytes(registry, file, offset, limit):
    content, artifact = file

    found = registry.read(artifact.name, read_offset=offset, read_limit=limit)

    assert found == content[offset : min(offset + limit, SIZE) if limit else SIZE]


def test_the_first_message_says_what_the_file_is_also_when_the_range_is_empty(registry, file):
    content, artifact = file
    request = pb.ReadArtifactRequest(name=artifact.name, read_offset=SIZE)

    messages = list(registry.api.artifacts.ReadArtifact(request))

    assert [(message.artifact.digest, message.offset, message.chunk.content) for message in messages] == [
        (content.digest, SIZE, b"")
    ]


def test_an_empty_file_is_read_as_no_bytes(registry):
    artifact = registry.push(registry.draft(), "empty", Content(0))

    assert registry.read(artifact.name) == b""
    assert refused(lambda: registry.read(artifact.name, read_offset=1)).reason == "READ_OFFSET"


def test_a_read_is_guarded_by_the_sha256_the_caller_expects(registry, file):
    content, artifact = file

    assert registry.read(artifact.name, read_offset=SIZE - 3, sha256=content.sha256) == content[SIZE - 3 :]
    refusal = refused(lambda: registry.read(artifact.name, sha256="ab" * 32))

    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "DIGEST_MISMATCH")
    assert refusal.facts == {"expected": "ab" * 32, "actual": content.sha256}


READS = {
    "beyond the end": ({"read_offset": SIZE + 1}, "OUT_OF_RANGE", "READ_OFFSET", ()),
    "2^63 - 1": ({"read_offset": MAX_INT64, "read_limit": MAX_INT64}, "OUT_OF_RANGE", "READ_OFFSET", ()),
    "negative offset": ({"read_offset": -1}, "INVALID_ARGUMENT", "INVALID_FIELD", ("read_offset",)),
    "lowest offset": ({"read_offset": -MAX_INT64 - 1}, "INVALID_ARGUMENT", "INVALID_FIELD", ("read_offset",)),
    "negative limit": ({"read_limit": -1}, "INVALID_ARGUMENT", "INVALID_FIELD", ("read_limit",)),
    "short sha256": ({"sha256": "ab"}, "INVALID_ARGUMENT", "INVALID_FIELD", ("sha256",)),
    "sha256 in capitals": ({"sha256": "AB" * 32}, "INVALID_ARGUMENT", "INVALID_FIELD", ("sha256",)),
    "no name": ({"name": ""}, "INVALID_ARGUMENT", "INVALID_FIELD", ("name",)),
    "path for a name": (
        {"name": "projects/default/models/m/versions/1/artifacts/../../etc/passwd"},
        "INVALID_ARGUMENT",
        "INVALID_RESOURCE_NAME",
        ("name",),
    ),
}


@pytest.mark.promise("P14", "messages")
@pytest.mark.parametrize(("fields", "code", "reason", "about"), READS.values(), ids=READS.keys())
def test_a_read_that_makes_no_sense_is_refused_before_any_byte(registry, file, fields, code, reason, about):
    request = {"name": file[1].name} | fields

    refusal = refused(lambda: registry.read(**request))

    assert (refusal.code, refusal.reason, refusal.fields) == (code, reason, about)
    if reason == "READ_OFFSET":
        assert refusal.facts == {"size": str(SIZE)}


def test_a_file_that_is_not_there_is_not_found(registry, file):
    name = file[1].name
    absent = name.rpartition("/")[0] + "/" + "a" * 26

    for call in (
        lambda: registry.read(absent),
        lambda: registry.api.artifacts.GetArtifact(pb.GetArtifactRequest(name=absent)),
        lambda: registry.api.artifacts.SignArtifactUrl(pb.SignArtifactUrlRequest(name=absent)),
    ):
        refusal = refused(call)
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", "ARTIFACT_NOT_FOUND")


def test_a_reader_that_goes_away_leaves_the_server_able_to_serve_the_next(registry, file):
    content, artifact = file
    for _ in range(20):
        call = registry.api.artifacts.ReadArtifact(pb.ReadArtifactRequest(name=artifact.name))
        next(iter(call))
        call.cancel()

    assert registry.read(artifact.name) == content.whole


@contextlib.contextmanager
def one_stored_object(kind, environment):
    """A server whose store holds one object, and a function that puts other bytes in its place."""
    with contextlib.ExitStack() as stack:
        if kind == "embedded":
            server = stack.enter_context(running())

            def replace(change):
                (path,) = stored_files(server)
                path.write_bytes(change(path.read_bytes()))
        else:
            url = stack.enter_context(engines.fresh_database(environment["MREG_TEST_POSTGRES_URL"]))
            keys = (environment[f"MREG_TEST_MINIO_{name}"] for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
            bucket = stack.enter_context(engines.fresh_bucket(*keys))
            server = stack.enter_context(running(distributed(url, bucket)))

            def replace(change):
                client = bucket.client()
                found = client.list_objects(bucket_name=bucket.name, recursive=True)
                names = [item.object_name for item in found if item.object_name != MARKER_KEY]
                for name in names:
                    reply = client.get_object(bucket_name=bucket.name, object_name=name)
                    bytes_now = reply.read()
                    reply.close()
                    reply.release_conn()
                    if len(bytes_now) < SIZE:
                        continue  # the server's own marker
                    changed = change(bytes_now)
                    client.put_object(
                        bucket_name=bucket.name, object_name=name, data=io.BytesIO(changed), length=len(changed)
                    )

        yield Registry.of(server), replace


DAMAGES = {
    "flipped byte": lambda content: content[: PART + 5] + bytes([content[PART + 5] ^ 1]) + content[PART + 6 :],
    "lost tail": lambda content: content[:-1],
    "other bytes": lambda content: bytes(len(content)),
}


@pytest.mark.promise("P20", "local")
@pytest.mark.promise("P20", "s3")
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("kind", DEPLOYMENTS)
def test_damaged_bytes_are_told_and_none_of_a_damaged_block_is_handed_out(kind, damage, service_environment):
    content = Content(SIZE)
    with one_stored_object(kind, service_environment) as (registry, replace):
        version = registry.draft()
        artifact = registry.push(version, "model.bin", content)
        replace(damage)

        got = bytearray()
        whole = refused(lambda: collect(registry, got, name=artifact.name))
        at_the_damage = {"flipped byte": PART + 5, "lost tail": SIZE - 2, "other bytes": PART}
        offset = next(at_the_damage[name] for name, known in DAMAGES.items() if known is damage)
        ranged = refused(lambda: registry.read(artifact.name, read_offset=offset, read_limit=1))

        for refusal in (whole, ranged):
            assert (refusal.code, refusal.reason) == ("DATA_LOSS", "ARTIFACT_CORRUPT")
            assert refusal.facts["artifact"] == artifact.name
        # What came before the damage was right, and nothing of the damaged block came.
        assert bytes(got) == content[: len(got)]
        assert len(got) % PART == 0
        if damage is DAMAGES["flipped byte"]:
            assert registry.read(artifact.name, read_limit=PART) == content[:PART]


def collect(registry, got, **fields):
    for message in registry.api.artifacts.ReadArtifact(pb.ReadArtifactRequest(**fields), timeout=60):
        got += message.chunk.content


def sign(registry, name, seconds=None):
    ttl = None if seconds is None else Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
    return registry.api.artifacts.SignArtifactUrl(pb.SignArtifactUrlRequest(name=name, ttl=ttl))


@pytest.fixture(scope="module")
def signing(service_environment):
    with deployed("distributed", service_environment) as server:
        registry = Registry.of(server)
        content = Content(5000)
        yield registry, content, registry.push(registry.draft(), "weights/model.bin", content)


@pytest.mark.promise("P14", "messages")
def test_a_signed_url_gets_the_file_and_nothing_else(signing):
    registry, content, artifact = signing

    signed = sign(registry, artifact.name, 60)

    url = urlsplit(signed.url)
    with urllib3.PoolManager() as http:
        reply = http.request("GET", signed.url)
        assert (reply.status, reply.data) == (200, content.whole)
        assert "model.bin" in reply.headers["content-disposition"]
        assert http.request("PUT", signed.url, body=b"mine").status == 403
        assert http.request("DELETE", signed.url).status == 403
        other = url._replace(path=url.path[:-1] + ("0" if url.path[-1] != "0" else "1")).geturl()
        assert http.request("GET", other).status == 403
        bucket = url._replace(path="/" + url.path.split("/")[1]).geturl()
        assert http.request("GET", bucket).status == 403
        longer = signed.url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")
        assert longer != signed.url
        assert http.request("GET", longer).status == 403
        assert http.request("GET", signed.url).data == content.whole
    assert signed.digest == content.digest
    left = signed.expire_time.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(seconds=30) < left <= timedelta(seconds=61)


@pytest.mark.promise("P14", "messages")
@pytest.mark.parametrize("seconds", [-1, 0, 0.5, 901, 86_400])
def test_a_signed_url_lives_one_second_to_fifteen_minutes(signing, seconds):
    registry, _, artifact = signing

    refusal = refused(lambda: sign(registry, artifact.name, seconds))

    assert (refusal.code, refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", ("ttl",))


@pytest.mark.parametrize(("seconds", "expires"), [(None, 300), (1, 1), (900, 900)])
def test_a_signed_url_lives_as_long_as_was_asked(signing, seconds, expires):
    registry, _, artifact = signing

    assert f"X-Amz-Expires={expires}&" in sign(registry, artifact.name, seconds).url + "&"


def test_a_directory_has_no_urls_to_sign(service_environment):
    with deployed("embedded", service_environment) as server:
        registry = Registry.of(server)
        artifact = registry.push(registry.draft(), "model.bin", Content(10))

        refusal = refused(lambda: sign(registry, artifact.name))

        assert (refusal.code, refusal.reason) == ("UNIMPLEMENTED", "FEATURE_DISABLED")
