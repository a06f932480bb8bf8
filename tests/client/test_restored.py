"""A registry that is put back to an older copy of itself, under clients that go on: nobody has to restart them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry_grpc.client import Registry, Unavailable
from registry_grpc.client.download import read_chunks
from registry_grpc.v1 import stages_pb2
from tests.kit.restores import keep_copy, put_back
from tests.kit.server import running
from tests.kit.waiting import until

WITHIN_S = 15


@pytest.fixture
def server():
    """One of the test's own, which is put back."""
    with running() as process:
        yield process


@pytest.fixture
def backup(server, registry, tmp_path):
    """A copy of the registry with one version, in staging."""
    weights = tmp_path / "weights.bin"
    weights.write_text("one")
    version = registry.push("restored", weights)
    registry.promote(version.location, "staging")
    return keep_copy(server, tmp_path / "copy")


def answers(question):
    """What a question is answered once the registry is back, and how long that took."""
    began = time.monotonic()
    return question(), time.monotonic() - began


def test_a_client_that_wrote_after_the_backup_reads_and_writes_again(server, registry, backup, tmp_path):
    (tmp_path / "weights.bin").write_text("two")
    lost = registry.push("restored", tmp_path / "weights.bin")
    registry.promote("restored/1", "production")
    assert registry.resolve("restored@production").version_number == 1
    put_back(server, backup)
    found, took_s = answers(lambda: registry.resolve("restored@staging"))
    assert found.version_number == 1
    assert took_s < WITHIN_S
    assert [each.number for each in registry.list_versions("restored")] == [1]
    again = registry.push("restored", tmp_path / "weights.bin")
    assert again.location == lost.location
    registry.promote("restored/2", "staging")
    assert registry.resolve("restored@staging").version_number == 2


def test_streams_of_such_a_client_are_answered_as_well(server, registry, backup, tmp_path):
    (artifact,) = registry.list_artifacts("restored/1")
    registry.update_model("restored", description="after the backup")
    put_back(server, backup)
    assert b"".join(read_chunks(registry.connection, artifact, threading.Event())) == b"one"
    registry.update_model("restored", description="after it was put back")
    put_back(server, backup)
    assert until(lambda: exported(registry), WITHIN_S)


def exported(registry):
    """The audit trail; nothing while the registry is not connected: an export is not sent again by itself."""
    try:
        return list(registry.audit.export())
    except Unavailable:
        return []


def test_many_threads_of_one_client_come_back_together(server, registry, backup):
    for number in range(5):
        registry.update_model("restored", description=str(number))
    put_back(server, backup)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: registry.resolve("restored@staging").version_number, range(64)))
    assert found == [1] * 64


def test_a_batch_of_such_a_client_is_refused_as_a_whole_and_asked_again(server, registry, backup):
    registry.update_model("restored", description="after the backup")
    put_back(server, backup)
    one = stages_pb2.ResolveRequest(name="projects/default/models/restored", stage="staging")
    request = stages_pb2.BatchResolveRequest(parent="projects/default", requests=[one] * 3)
    answer = registry.connection.read(registry.connection.stubs.stages.BatchResolve, request)
    assert [each.response.version_number for each in answer.results] == [1] * 3


@pytest.mark.parametrize("others_wrote", [0, 9])
def test_a_pointer_that_was_moved_by_what_is_lost_is_not_unchanged(server, registry, backup, others_wrote):
    registry.promote("restored/1", "production")
    seen = registry.resolve("restored@latest").pointer_revision
    lost = registry.resolve("restored@production").pointer_revision
    put_back(server, backup)
    assert registry.resolve("restored@staging", if_changed_since=lost).version_number == 1
    for number in range(others_wrote):
        registry.update_model("restored", description=str(number))
    assert registry.resolve("restored@staging", if_changed_since=lost).version_number == 1
    assert registry.resolve("restored@latest", if_changed_since=seen).unchanged


def test_what_was_written_meanwhile_by_another_client_is_not_waited_for(server, registry, backup, tmp_path):
    """The revision passes what the client wrote before, by changes of others: nothing is left to wait for."""
    registry.update_model("restored", description="after the backup")
    put_back(server, backup)
    with Registry(server.endpoint, token=server.token, cache_dir=tmp_path / "other") as other:
        for number in range(5):
            other.update_model("restored", description=f"other {number}")
    found = until(lambda: registry.get_model("restored").description, WITHIN_S)
    assert found == "other 4"
