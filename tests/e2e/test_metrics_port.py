"""The metrics port of a real server, read while it works: what a dashboard finds, and what promtool says to it."""

import hashlib
import queue
import subprocess
import urllib.request

import pytest
from crc32c import crc32c
from prometheus_client.parser import text_string_to_metric_families

from registry_grpc.v1 import artifacts_pb2, common_pb2, models_pb2, stages_pb2, versions_pb2
from tests.kit.engines import ROOT
from tests.kit.server import running

CHUNK = b"0123456789abcdef" * (1 << 16)
CHUNKS = 20
SETTLE_CALLS = 200
"""Counting is in batches, so the page may be a moment behind: look again, this often at most."""
MODEL = "projects/default/models/fraud"
WRITE = {"grpc_type": "client_stream", "grpc_service": "registry_grpc.v1.ArtifactService", "grpc_method": "WriteUpload"}
START = {"grpc_type": "unary", "grpc_service": "registry_grpc.v1.ArtifactService", "grpc_method": "StartUpload"}
FAMILIES = {
    *("grpc_server_started", "grpc_server_handled", "grpc_server_msg_received", "grpc_server_msg_sent"),
    *("grpc_server_handling_seconds", "registry_grpc_in_flight", "registry_uploads_in_progress"),
    *("registry_uploads_finished", "registry_upload_bytes", "registry_download_bytes", "registry_upload_seconds"),
    *("registry_storage_requests", "registry_storage_seconds", "registry_resolve", "registry_stage_transitions"),
    *("registry_feed_lag_seconds", "registry_feed_revision", "registry_auth_failures", "registry_build_info"),
    *("registry_event_loop_lag_seconds", "registry_db_schema_at_head", "registry_db_seconds"),
    "registry_db_pool_connections",
}


@pytest.fixture
def server():
    with running() as started:
        yield started


def page(server, path="/metrics"):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}{path}", timeout=10) as answer:
        return answer.read().decode()


class Page:
    """One reading of /metrics."""

    def __init__(self, server):
        self.families = {family.name: family for family in text_string_to_metric_families(page(server))}

    def value(self, name, **labels):
        """Return the value of the one sample with these labels; None when there is none."""
        found = [
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, f"{name}{labels} is not one sample"
        return found[0] if found else None


def page_once(server, condition):
    """Return the first page that meets `condition`, or the last of many."""
    for _ in range(SETTLE_CALLS):
        read = Page(server)
        if condition(read):
            break
    return read


def started_upload(server):
    api = server.api()
    api.models.CreateModel(models_pb2.CreateModelRequest(parent="projects/default", model_id="fraud"))
    version = api.models.CreateVersion(versions_pb2.CreateVersionRequest(parent=MODEL))
    size = len(CHUNK) * CHUNKS
    request = artifacts_pb2.StartUploadRequest(parent=version.name, path="w.bin", size_bytes=size)
    return api, api.artifacts.StartUpload(request)


def messages(name, more):
    """Yield all chunks but the last, wait for `more`, then yield the rest."""
    digest = hashlib.sha256(CHUNK * CHUNKS).hexdigest()
    chunk = common_pb2.Chunk(content=CHUNK, crc32c=crc32c(CHUNK))
    for number in range(CHUNKS):
        if number == CHUNKS - 1:
            more.get(timeout=60)
        yield artifacts_pb2.WriteUploadRequest(name=name, write_offset=number * len(CHUNK), chunk=chunk)
    whole = common_pb2.Digest(sha256=digest, size_bytes=len(CHUNK) * CHUNKS)
    yield artifacts_pb2.WriteUploadRequest(write_offset=len(CHUNK) * CHUNKS, finish_write=True, digest=whole)


def test_an_upload_can_be_watched_while_it_runs(server):
    api, upload = started_upload(server)
    more = queue.Queue()
    call = api.artifacts.WriteUpload.future(messages(upload.name, more))
    arrived = len(CHUNK) * (CHUNKS - 1)
    try:
        during = page_once(server, lambda read: read.value("registry_upload_bytes_total", path="proxy") == arrived)
        assert during.value("registry_uploads_in_progress") == 1
        assert during.value("registry_upload_bytes_total", path="proxy") == arrived
        assert during.value("registry_grpc_in_flight", grpc_type="client_stream") == 1
        assert during.value("grpc_server_started_total", **WRITE) == 1
        assert during.value("grpc_server_handled_total", **WRITE, grpc_code="OK") == 0
        assert during.value("grpc_server_handled_total", **START, grpc_code="OK") == 1
        assert during.value("registry_uploads_finished_total", outcome="committed") == 0
        # 19 MiB came: the first part of 16 MiB is on its way to the store or there.
        assert during.value("registry_storage_requests_total", op="begin", outcome="ok") == 1
    finally:
        more.put(None)
    assert call.result(60).state == artifacts_pb2.Upload.State.STATE_COMMITTED
    after = page_once(server, lambda read: read.value("grpc_server_handled_total", **WRITE, grpc_code="OK") == 1)
    assert after.value("registry_uploads_in_progress") == 0
    assert after.value("registry_uploads_finished_total", outcome="committed") == 1
    assert after.value("registry_upload_seconds_count", size_class="lt1g") == 1
    assert after.value("registry_storage_requests_total", op="part", outcome="ok") == 2
    assert after.value("grpc_server_handled_total", **WRITE, grpc_code="OK") == 1
    assert after.value("grpc_server_msg_received_total", **WRITE) == CHUNKS + 1
    api.close()


def test_every_family_and_label_is_there_at_zero_before_the_first_call(server):
    fresh = Page(server)
    assert FAMILIES - fresh.families.keys() == set()
    for code in ("OK", "InvalidArgument", "Unavailable", "DeadlineExceeded"):
        assert fresh.value("grpc_server_handled_total", **WRITE, grpc_code=code) == 0
    for outcome in ("committed", "deduplicated", "client_aborted", "integrity_error", "storage_error"):
        assert fresh.value("registry_uploads_finished_total", outcome=outcome) == 0
    for source in ("cache", "db"):
        for result in ("ok", "not_found", "error"):
            assert fresh.value("registry_resolve_total", source=source, result=result) == 0
    for action in ("promote", "rollback", "vacate"):
        assert fresh.value("registry_stage_transitions_total", action=action, outcome="conflict") == 0
    for reason in ("missing", "invalid", "expired", "revoked"):
        assert fresh.value("registry_auth_failures_total", reason=reason) == 0
    assert fresh.value("registry_db_schema_at_head") == 1


def test_work_in_the_database_is_timed_and_its_connections_counted(server):
    api = server.api()
    before = Page(server)
    for number in range(5):
        api.models.CreateModel(models_pb2.CreateModelRequest(parent="projects/default", model_id=f"m{number}"))
        api.models.GetModel(models_pb2.GetModelRequest(name=f"projects/default/models/m{number}"))
    after = Page(server)
    for op in ("read", "write"):
        grown = after.value("registry_db_seconds_count", op=op) - before.value("registry_db_seconds_count", op=op)
        assert grown >= 5, op
        assert after.value("registry_db_seconds_sum", op=op) > before.value("registry_db_seconds_sum", op=op)
    assert after.value("registry_db_pool_connections", state="idle") >= 1
    assert after.value("registry_db_pool_connections", state="in_use") >= 0


def test_no_label_names_a_model_or_project(server):
    api, upload = started_upload(server)
    api.stages.GetStage(stages_pb2.GetStageRequest(name=f"{MODEL}/stages/production"))
    read = Page(server)
    values = {
        value for family in read.families.values() for sample in family.samples for value in sample.labels.values()
    }
    assert [value for value in values if "fraud" in value or "default" in value or upload.name in value] == []
    api.close()


def test_promtool_has_nothing_to_say(server):
    api, _ = started_upload(server)
    api.close()
    promtool = subprocess.run([ROOT / "scripts/tool", "promtool"], check=True, capture_output=True, text=True)
    said = subprocess.run(
        [promtool.stdout.strip(), "check", "metrics"],
        input=page(server),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_the_metrics_port_tells_that_the_process_lives(server):
    assert page(server, "/livez") == "ok\n"
