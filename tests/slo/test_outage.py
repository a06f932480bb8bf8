"""A real Prometheus watches a real server whose store is stopped for a while: who is called, and when it is over."""

import contextlib
import json
import threading

import grpc
import pytest

from tests.kit import engines
from tests.kit.prometheus import prometheus, rules
from tests.kit.server import distributed, running
from tests.kit.uploads import Content, Registry, stream
from tests.kit.waiting import until
from tests.slo.program import mreg

SCALE = 60
"""An hour passes in a minute: the windows of the fast page are 60 s and 5 s."""
PAGE = {"severity": "page", "slo": "upload-success", "window": "1h"}
UPLOADS, STORE = "RegistryUploadsFailing", "RegistryStorageFailing"


@pytest.fixture
def engine():
    with engines.private_minio() as engine:
        yield engine


@pytest.fixture
def server(engine, postgres_url):
    bucket = engines.Bucket(engine.endpoint, engine.access_key, engine.secret_key, "registry")
    bucket.client().make_bucket(bucket_name=bucket.name)
    with running(distributed(postgres_url, bucket)) as server:
        yield server


class Trainers:
    """Two that upload one small file after the other, whatever becomes of it, and ask where a stage points."""

    def __init__(self, server):
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(2)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self):
        registry = Registry.of(self._server)
        version, number = registry.draft(), 0
        while not self._over.wait(0.1):
            number += 1
            content = Content(1000)
            with contextlib.suppress(grpc.RpcError):
                upload = registry.start(version, f"{number % 100}.bin", content.size_bytes)
                registry.write(stream(upload.name, content))
        registry.api.close()


@pytest.mark.timeout(600)
def test_a_store_that_is_stopped_for_a_while_calls_somebody_and_lets_go(engine, server, tmp_path):
    rule_file = rules(tmp_path / "rules.yaml", SCALE)
    with prometheus(server.metrics_port, rule_file) as watch, Trainers(server):
        until(lambda: (watch.number('registry_slo:total:rate5m{slo="upload-success"}') or 0) > 1, 60)
        assert watch.firing(**PAGE) == []
        standing = mreg("slo", "--prometheus", watch.url, "-o", "json")
        before = {each["name"]: each for each in json.loads(standing.stdout)}
        # A busy machine may have spent what latency allows: that is told as well.
        assert standing.returncode == any(each["spent"] for each in before.values())
        assert before["upload-success"]["budget_left"] == 1
        assert not before["upload-success"]["spent"]

        engine.kill()

        until(lambda: watch.firing(**PAGE) == [UPLOADS], 120, every_s=0.5)
        until(lambda: STORE in watch.firing(severity="page"), 120, every_s=0.5)
        spent = mreg("slo", "--prometheus", watch.url)
        assert spent.returncode == 1, spent.stdout
        assert "the budget of" in spent.stderr
        assert "upload-success" in spent.stderr
        rows = {line.split()[0]: line for line in spent.stdout.splitlines()}
        assert rows["upload-success"].endswith("SPENT")
        # What needs no bytes went on all the time.
        assert rows["rpc-availability"].endswith("ok")

        engine.start()

        until(lambda: watch.firing(**PAGE) == [], 120, every_s=0.5)
        until(lambda: watch.number('registry_slo:bad_ratio{slo="upload-success", window="5m"}') == 0, 60)
        assert watch.sick_rules() == []
