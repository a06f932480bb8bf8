"""What the objectives are measured by is measured where it should be, and by the replica that leads alone."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from registry_grpc.client import Registry as Client
from registry_grpc.observability.metrics import Metrics
from registry_grpc.observability.observers import JobReport
from registry_grpc.server.gauges import StorageGauges, capacity_of
from registry_grpc.server.leader import Job, Leader
from registry_grpc.server.pools import Pool
from registry_grpc.server.settings import Settings
from registry_grpc.storage.sql.store import SqlStore
from registry_grpc.v1 import events_pb2
from tests.contract.store.builders import blob
from tests.kit.server import running
from tests.kit.uploads import PART, Content, Held, Registry, finish, part_of_stream
from tests.kit.waiting import metric, until
from tests.kit.watching import Follower

DELAY = "registry_stage_event_delay_seconds"
ALL_LAGS = "registry_watch_lag_seconds"
TAKEN = "registry_upload_throughput_bytes_per_second"
SERVED = "registry_upload_served_bytes_per_second"
PAUSE_S = 2.0
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


@pytest.fixture
def store(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path / 'registry.db'}", auto_upgrade=True, pool_size=4)
    yield store
    store.close()


def test_news_of_a_stage_is_timed_for_a_watch_that_was_there_and_not_for_one_that_catches_up(server, tmp_path):
    registry = Registry.of(server)
    version = registry.draft()
    registry.push(version, "model.bin", Content(1000))
    registry.finalize(version)
    model = version.partition("/versions/")[0].rpartition("/")[2]

    def count(name):
        return metric(server.metrics_port, f"{name}_count")

    with Client(server.endpoint, token=server.token, cache_dir=tmp_path) as client:
        begin = client.server_info().current_revision
        before = count(DELAY)
        with Follower(client.watch(f"{model}@staging")) as follower:
            client.promote(f"{model}/1", "staging")
            head = client.server_info().current_revision
            follower.reached(head)
        until(lambda: count(DELAY) == before + 1, 20)
        lags = count(ALL_LAGS)
        # The same news again, for one that comes later: old news, however fast.
        request = events_pb2.WatchRequest(parent=version.partition("/versions/")[0], after_revision=begin)
        late = registry.api.events.Watch(request, timeout=60)
        assert next(message.revision for message in late if message.revision >= head)
        # It counts once the message is out, and not for a watch that ends at that moment.
        until(lambda: count(ALL_LAGS) > lags, 20)
        late.cancel()
        assert count(DELAY) == before + 1
    registry.api.close()


def test_the_time_a_client_takes_is_not_ours(server):
    registry = Registry.of(server)
    content = Content(PART + 1000)

    def sums(name):
        return metric(server.metrics_port, f"{name}_sum", size_class="lt1g")

    before = sums(TAKEN), sums(SERVED)
    upload = registry.start(registry.draft(), "model.bin", content.size_bytes)
    held = Held(part_of_stream(upload.name, content, 0, content.size_bytes))

    def slow():
        yield from held
        yield finish(upload.name, content)

    call = registry.writing(slow())
    until(lambda: registry.upload(upload.name).persisted_size == content.size_bytes, 60)
    began = time.monotonic()
    until(lambda: time.monotonic() - began > PAUSE_S, PAUSE_S + 10)
    held.let_go()
    call.result(60)
    until(lambda: sums(TAKEN) > before[0], 20)
    taken, served = sums(TAKEN) - before[0], sums(SERVED) - before[1]
    assert taken < content.size_bytes / PAUSE_S
    # At least the pause is left out.
    assert content.size_bytes / served < content.size_bytes / taken - PAUSE_S * 0.9
    registry.api.close()


def test_capacity_is_what_was_set_or_what_the_file_system_says(tmp_path):
    given = Settings(data_dir=tmp_path, storage_capacity_bytes=1000)
    assert capacity_of(given)(300) == ("setting", 1000, 700)
    assert capacity_of(given)(1300) == ("setting", 1000, 0)
    source, whole, free = capacity_of(Settings(data_dir=tmp_path))(300)
    assert source == "disk"
    assert 0 < free < whole
    bucket = {"artifact_store": "s3", "s3_endpoint": "localhost:9000", "s3_access_key": "a", "s3_secret_key": "b"}
    assert capacity_of(Settings(**bucket))(300) is None


def test_the_oldest_check_is_that_of_the_blob_that_waited_longest(store):
    shown = Metrics(CollectorRegistry(), "1")
    gauges = StorageGauges(store, shown, lambda stored: ("setting", 100, 100 - stored))

    def value(name, **labels):
        return shown.registry.get_sample_value(name, labels)

    gauges()
    assert value("registry_scrub_oldest_seconds") == 0
    now = store.read(lambda reader: reader.now)
    fresh = blob("a", create_time=now - 9 * HOUR)
    blobs = [replace(fresh, check_time=now - HOUR), blob("b", create_time=now - 5 * HOUR)]
    store.write(lambda unit: [unit.blobs.insert(one) for one in blobs])
    gauges()
    assert value("registry_scrub_oldest_seconds") == pytest.approx(5 * 3600, abs=60)
    assert value("registry_storage_free_bytes", source="setting") == 100 - 2 * 3


def test_a_replica_that_leads_no_more_shows_nothing_of_what_it_counted(store, monkeypatch):
    monkeypatch.setattr("registry_grpc.server.leader.RENEW_S", 0.01)
    shown = Metrics(CollectorRegistry(), "1")
    gauges = StorageGauges(store, shown, lambda _: ("setting", 100, 60))
    jobs = [Job("storage gauges", 3600, gauges)]

    def free():
        return shown.registry.get_sample_value("registry_storage_free_bytes", {"source": "setting"})

    async def lead():
        pool = Pool("jobs", 1)
        leader = Leader(store, pool, "me", jobs, JobReport(shown))
        leader.start()
        await reached(lambda: free() == 60)
        store.clock_offset += timedelta(minutes=5)
        assert store.acquire_lease("leader", "another", HOUR) == 2
        await reached(lambda: free() is None)
        assert leader.epoch is None
        await leader.stop()
        pool.close()

    asyncio.run(lead())
    job = {"task": "storage_gauges"}
    assert shown.registry.get_sample_value("registry_job_last_success_timestamp_seconds", job) is None


async def reached(condition):
    await asyncio.to_thread(until, condition, 30)
