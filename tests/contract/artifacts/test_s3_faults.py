"""The S3 store against servers that are away, busy, full, or set up wrongly."""

import contextlib
import io
import logging
import secrets
import socket
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from registry_grpc.domain.artifacts import BLOCK_BYTES, MIB
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.ports.artifacts import MissingObjectError
from registry_grpc.storage.artifacts.s3 import S3ArtifactStore
from tests.contract.artifacts.conftest import s3_store, send, whole
from tests.kit import engines

NOTE = {"upload-id": "u1"}


def calls(store: S3ArtifactStore):
    """Every operation that reaches the server."""
    upload = "0" * 16 + ".upload"
    return {
        "begin": lambda: store.begin("k", NOTE),
        "put_part": lambda: store.put_part("k", upload, 1, 0, [b"x" * MIB] * 16, 16 * MIB),
        "abort": lambda: store.abort("k", upload),
        "sweep": lambda: store.sweep("k"),
        "put": lambda: store.put("k", [b"x"], 1, NOTE),
        "head": lambda: store.head("k"),
        "read": lambda: list(store.read("k", 0, 1)),
        "delete": lambda: store.delete("k"),
        "ping": store.ping,
    }


def unreachable(port: int, **options) -> S3ArtifactStore:
    given = {"secure": False, "region": "us-east-1", **options}
    return S3ArtifactStore(f"127.0.0.1:{port}", "key-id", "s3cret-key", "bucket", **given)


def test_a_killed_server_is_reported_within_two_seconds_and_comes_back():
    with engines.private_minio() as server:
        store = S3ArtifactStore(
            server.endpoint,
            server.access_key,
            server.secret_key,
            "models",
            secure=False,
            region="us-east-1",
        )
        store.ensure_bucket()
        store.ensure_bucket()
        upload = store.begin("ab/c", NOTE)
        parts = send(store, "ab/c", upload, b"x" * (5 * MIB), b"tail")
        store.ping()
        server.kill()
        for name, call in calls(store).items():
            started = time.monotonic()
            with pytest.raises(RegistryError) as caught:
                call()
            assert time.monotonic() - started < 2, name
            assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
            assert caught.value.retry_after_s
        server.start()
        store.ping()
        store.complete("ab/c", upload, parts)
        assert whole(store, "ab/c") == b"x" * (5 * MIB) + b"tail"


def test_a_server_that_accepts_and_is_silent_fails_ping_within_two_seconds():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with pytest.raises(RegistryError) as caught:
            unreachable(listener.getsockname()[1]).ping()
    assert time.monotonic() - started < 2
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE


class _Scripted(BaseHTTPRequestHandler):
    """Answers from a list, then always the last; keeps what was asked."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self.server.seen.append((self.command, dict(self.headers), self.rfile.read(length)))
        script = self.server.script
        status, code = script.pop(0) if len(script) > 1 else script[0]
        body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"e1"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815 -- names of http.server

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def scripted(*script: tuple[int, str]):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Scripted)
    server.script, server.seen = list(script), []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server, unreachable(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def put_part(store: S3ArtifactStore) -> str:
    chunks = [b"a" * 1000, b"b" * 500]
    return store.put_part("k", "0" * 16 + ".upload", 1, 0, chunks, 1500)


def test_a_busy_server_is_asked_five_times():
    with scripted((503, "SlowDown"), (500, "InternalError"), (200, "")) as (server, store):
        assert put_part(store) == "e1"
        assert len(server.seen) == 3
    with scripted((503, "SlowDown")) as (server, store):
        with pytest.raises(RegistryError) as caught:
            put_part(store)
        assert len(server.seen) == 5
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
    assert caught.value.facts["store_code"] == "SlowDown"


def test_a_part_is_sent_with_its_length_and_not_in_chunked_encoding():
    with scripted((200, "")) as (server, store):
        put_part(store)
    ((_, headers, body),) = server.seen
    assert headers["Content-Length"] == "1500"
    assert "Transfer-Encoding" not in headers
    assert body == b"a" * 1000 + b"b" * 500


@pytest.mark.parametrize(
    ("status", "code", "reason", "tries"),
    [
        (507, "XMinioStorageFull", Reason.QUOTA_EXCEEDED, 1),
        (507, "", Reason.QUOTA_EXCEEDED, 1),
        (409, "XMinioAdminBucketQuotaExceeded", Reason.QUOTA_EXCEEDED, 1),
        (403, "AccessDenied", Reason.STORAGE_UNAVAILABLE, 1),
        (404, "NoSuchBucket", Reason.STORAGE_UNAVAILABLE, 1),
        (400, "InvalidPart", Reason.INTERNAL, 1),
        (400, "<&\n", Reason.INTERNAL, 1),
        (301, "", Reason.INTERNAL, 1),
    ],
)
def test_refusals_are_told_apart(status, code, reason, tries):
    with scripted((status, code)) as (server, store):
        with pytest.raises(RegistryError) as caught:
            put_part(store)
        assert len(server.seen) == tries
    assert caught.value.reason is reason


def test_a_completion_that_fails_under_status_200_is_a_failure():
    with scripted((200, "InternalError")) as (_, store), pytest.raises(RegistryError) as caught:
        store.complete("k", "0" * 16 + ".u", send_none())
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE


def send_none():
    from registry_grpc.domain.artifacts import UploadPart

    return [UploadPart(number=1, size_bytes=1, etag="e", block_digests=b"")]


def test_wrong_credentials_or_bucket_are_named_by_ping_and_first_use(minio_bucket):
    class Nowhere:
        endpoint, access_key = minio_bucket.endpoint, minio_bucket.access_key
        secret_key, name = minio_bucket.secret_key, "no-such-bucket"

    class Stranger(Nowhere):
        access_key, name = "nobody", minio_bucket.name

    for bucket, code in ((Nowhere, "NoSuchBucket"), (Stranger, "InvalidAccessKeyId")):
        for name, call in calls(s3_store(bucket)).items():
            with pytest.raises(RegistryError) as caught:
                call()
            assert caught.value.reason is Reason.STORAGE_UNAVAILABLE, name
            assert code in str(caught.value) or name == "head", name


def test_an_object_of_other_metadata_is_not_taken_for_ours(minio_bucket):
    store = s3_store(minio_bucket)
    store.put("k", [b"data"], 4, {"upload-id": "other"})
    upload = store.begin("k", NOTE)
    parts = send(store, "k", upload, b"DATA")
    with pytest.raises(RegistryError) as caught:
        store.complete("k", upload, parts)
    assert caught.value.reason is Reason.INTERNAL
    with pytest.raises(RegistryError):
        store.put("k", [b"DATA"], 4, NOTE)
    assert whole(store, "k") == b"data"


def test_a_signed_url_reads_one_object_for_a_while_and_nothing_else(minio_bucket):
    store = s3_store(minio_bucket, public_endpoint=minio_bucket.endpoint)
    store.put("k", [b"data"], 4, NOTE)
    url = store.sign_get("k", timedelta(days=1), 'mödel "1"\r\n.bin')
    assert int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0]) == 15 * 60
    with urllib3.PoolManager(retries=False) as pool:
        reply = pool.request("GET", url)
        assert (reply.status, reply.data) == (200, b"data")
        assert reply.headers["Content-Disposition"].startswith('attachment; filename="m_del__1_')
        for method in ("PUT", "DELETE"):
            assert pool.request(method, url).status == 403
        assert pool.request("GET", url.replace("/k?", "/other?")).status == 403
        short = store.sign_get("k", timedelta(0), "f")
        time.sleep(2.1)
        assert pool.request("GET", short).status == 403


def test_signed_urls_name_the_public_endpoint_and_ask_no_server():
    store = unreachable(9, public_endpoint="https://models.example.com")
    url = store.sign_get("k", timedelta(minutes=1), "f")
    assert url.startswith("https://models.example.com/bucket/k?")
    assert unreachable(9).sign_get("k", timedelta(minutes=1), "f") is None


def test_no_key_or_signature_is_logged_or_in_an_error(minio_bucket, caplog):
    key = secrets.token_hex(16)
    with caplog.at_level(logging.DEBUG):
        store = s3_store(minio_bucket)
        store.put(key, [b"data"], 4, NOTE)
        whole(store, key)
        with pytest.raises(RegistryError) as caught:
            store.put(key, [b"longer"], 6, NOTE)
        with pytest.raises(RegistryError) as away:
            unreachable(9).head(key)
    said = caplog.text + str(caught.value) + str(away.value) + repr(away.value.__context__)
    for secret in (key, "X-Amz-Signature", minio_bucket.secret_key, "s3cret-key"):
        assert secret not in said


def test_an_object_cut_off_in_the_middle_is_an_error_and_not_an_end():
    data = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1000\r\n\r\nonly this"

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(RegistryError) as caught:
            list(unreachable(listener.getsockname()[1]).read("k", 0, 1000))
        thread.join()
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE


def test_a_part_is_not_copied_to_be_sent(minio_bucket):
    import tracemalloc

    store = s3_store(minio_bucket)
    upload = store.begin("k", NOTE)
    chunks = [b"\x01" * MIB] * 16
    store.put_part("k", upload, 1, 0, chunks, BLOCK_BYTES)
    tracemalloc.start()
    try:
        store.put_part("k", upload, 1, 0, chunks, BLOCK_BYTES)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    store.abort("k", upload)
    assert peak < MIB


def test_parts_of_an_upload_the_server_dropped_are_missing(minio_bucket):
    store = s3_store(minio_bucket)
    upload = store.begin("k", NOTE)
    store.abort("k", upload)
    with pytest.raises(MissingObjectError):
        send(store, "k", upload, io.BytesIO(b"abc").getvalue())
