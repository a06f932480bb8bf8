"""`mreg slo` when nothing is measured: what is promised, and what is told when there is no Prometheus to ask."""

import http.server
import json
import threading

import pytest

from registry_grpc.observability.objectives_document import shipped
from registry_grpc.v1 import server_pb2
from tests.kit.prometheus import prometheus
from tests.kit.server import running
from tests.slo.program import mreg

PERIOD_S = 30 * 86400


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


def test_the_server_reports_what_is_promised(server):
    api = server.api()
    info = api.server.GetServerInfo(server_pb2.GetServerInfoRequest())
    api.close()
    assert [(each.name, each.description, each.target) for each in info.objectives] == [
        (each.name, each.summary, each.target) for each in shipped().objectives
    ]
    assert {each.period.seconds for each in info.objectives} == {PERIOD_S}


def test_without_a_prometheus_the_promises_are_shown(server):
    said = mreg("slo", server=server)
    assert said.returncode == 0, said.stderr
    rows = {line.split()[0]: line for line in said.stdout.splitlines()}
    assert "99.95 %" in rows["resolve-availability"]
    assert "30 d" in rows["resolve-availability"]
    assert "--prometheus" in said.stderr
    listed = json.loads(mreg("slo", "-o", "json", server=server).stdout)
    assert [each["name"] for each in listed] == [each.name for each in shipped().objectives]


def test_a_prometheus_without_the_rules_is_told_apart_from_one_without_traffic(server, tmp_path):
    with prometheus(server.metrics_port) as watch:
        said = mreg("slo", "--prometheus", watch.url)
    assert said.returncode == 6
    assert "load slo/rules.yaml into it" in said.stderr


def test_a_prometheus_that_is_away_is_unavailable():
    said = mreg("slo", "--prometheus", "http://127.0.0.1:9")
    assert said.returncode == 6
    assert "http://127.0.0.1:9 does not answer" in said.stderr


@pytest.mark.parametrize("url", ["prometheus:9090", "file:///etc/hosts", "http://"])
def test_what_is_no_address_is_refused_with_an_example(url):
    said = mreg("slo", "--prometheus", url)
    assert said.returncode == 6
    assert "give http://host:9090" in said.stderr


class Stranger(http.server.BaseHTTPRequestHandler):
    """A web server that is no Prometheus."""

    def do_GET(self):
        missing = self.path.startswith("/missing")
        self.send_response(404 if missing else 200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_):
        pass


def test_another_web_server_is_told_from_a_prometheus():
    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{web.server_port}"
            assert "does not answer as a Prometheus does" in mreg("slo", "--prometheus", url).stderr
            assert "answered 404" in mreg("slo", "--prometheus", f"{url}/missing").stderr
        finally:
            web.shutdown()
            thread.join()
