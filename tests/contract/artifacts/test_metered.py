"""The metered store reports what the store inside did."""

import pytest

from registry_grpc.domain.errors import RegistryError
from registry_grpc.ports.artifacts import MissingObjectError
from registry_grpc.storage.artifacts.faults import unavailable
from registry_grpc.storage.artifacts.metered import MeteredArtifactStore
from tests.contract.artifacts.conftest import send
from tests.memory.artifacts import MemoryArtifactStore


class Seen:
    def __init__(self):
        self.rows = []

    def observe(self, operation, outcome, seconds, size_bytes):
        assert seconds >= 0
        self.rows.append((operation, outcome, size_bytes))


def test_every_operation_is_reported_with_its_outcome_and_bytes():
    inside, seen = MemoryArtifactStore(), Seen()
    store = MeteredArtifactStore(inside, seen)
    upload = store.begin("k", {"a": "b"})
    store.complete("k", upload, send(store, "k", upload, b"1234"))
    store.put("s", [b"12"], 2, {})
    store.head("k")
    store.head("nothing")
    assert b"".join(store.read("k", 1, 2)) == b"23"
    with pytest.raises(MissingObjectError):
        list(store.read("nothing", 0, 1))
    store.abort("k", upload)
    store.sweep("k")
    store.delete("k")
    store.ping()
    assert seen.rows == [
        ("begin", "ok", 0),
        ("put_part", "ok", 4),
        ("complete", "ok", 0),
        ("put", "ok", 2),
        ("head", "ok", 0),
        ("head", "not_found", 0),
        ("read", "ok", 2),
        ("read", "not_found", 0),
        ("abort", "ok", 0),
        ("sweep", "ok", 0),
        ("delete", "ok", 0),
        ("ping", "ok", 0),
    ]


def test_a_busy_store_is_throttled_and_a_dead_one_an_error(monkeypatch):
    inside, seen = MemoryArtifactStore(), Seen()
    store = MeteredArtifactStore(inside, seen)

    def busy():
        raise unavailable("busy", store_code="SlowDown")

    inside.is_down = True
    with pytest.raises(RegistryError):
        store.head("k")
    monkeypatch.setattr(inside, "ping", busy)
    with pytest.raises(RegistryError):
        store.ping()
    assert [outcome for _, outcome, _ in seen.rows] == ["error", "throttled"]


def test_a_read_left_early_is_reported_and_closed():
    inside, seen = MemoryArtifactStore(), Seen()
    inside.objects["k"] = (b"x" * (3 << 20), {})
    chunks = MeteredArtifactStore(inside, seen).read("k", 0, 3 << 20)
    next(chunks)
    chunks.close()
    assert seen.rows == [("read", "ok", 1 << 20)]
