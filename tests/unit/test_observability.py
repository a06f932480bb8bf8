import io
import json
import logging
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from registry_grpc.observability import logs
from registry_grpc.observability.access_log import AccessLog, Who
from registry_grpc.observability.http import MetricsServer
from registry_grpc.observability.metrics import Metrics, size_class
from registry_grpc.observability.rpc_metrics import CODE_NAMES, SECONDS_BUCKETS


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry(), "1.2.3")


def test_samples_of_a_method_exist_before_its_first_call(metrics):
    metrics.rpc.meter("s.S", "M", client_streams=False, server_streams=True)
    text = generate_latest(metrics.registry).decode()
    labels = 'grpc_method="M",grpc_service="s.S",grpc_type="server_stream"'
    for code in CODE_NAMES.values():
        assert f'grpc_server_handled_total{{grpc_code="{code}",{labels}}} 0.0' in text
    assert f"grpc_server_started_total{{{labels}}} 0.0" in text
    assert f"grpc_server_handling_seconds_count{{{labels}}} 0.0" in text


def test_code_names_are_those_of_go():
    assert {"OK", "InvalidArgument", "DeadlineExceeded"} <= set(CODE_NAMES.values())


def test_latency_objectives_are_bucket_bounds():
    assert {0.1, 0.5} <= set(SECONDS_BUCKETS)


def test_size_classes():
    assert [size_class(n) for n in (0, 16 << 20, 1 << 30, 10 << 30)] == [
        "lt16m",
        "lt1g",
        "lt10g",
        "ge10g",
    ]


def test_two_processes_worth_of_metrics_do_not_share_a_registry():
    Metrics(CollectorRegistry(), "a")
    Metrics(CollectorRegistry(), "b")


def promtool():
    tool = Path(__file__).parents[2] / "scripts/tool"
    done = subprocess.run([tool, "promtool"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_promtool_finds_nothing_to_improve(metrics):
    metrics.rpc.meter("s.S", "M", client_streams=False, server_streams=False)
    done = subprocess.run(
        [promtool(), "check", "metrics"],
        input=generate_latest(metrics.registry),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
        return reply.read()


def test_metrics_and_liveness_have_a_port_of_their_own(metrics):
    server = MetricsServer(metrics.registry, dict, "127.0.0.1", 0)
    try:
        assert b'registry_build_info{version="1.2.3"} 1.0' in get(server.port, "/metrics")
        assert get(server.port, "/livez") == b"ok\n"
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(server.port, "/")
        assert caught.value.code == 404
        caught.value.close()
        with pytest.raises(OSError, match="in use"):
            MetricsServer(metrics.registry, dict, "127.0.0.1", server.port)
    finally:
        server.close()


def test_a_caller_who_says_nothing_keeps_nobody_from_the_port(metrics):
    server = MetricsServer(metrics.registry, dict, "127.0.0.1", 0)
    try:
        with socket.create_connection(("127.0.0.1", server.port)):
            assert get(server.port, "/readyz") == b"ok\n"
    finally:
        server.close()


EVIL = 'a"\n{"event":"forged"}\x1b[2J'
LINE = (0.25, Who("S.M", "OK", EVIL), EVIL, 0.0123, EVIL)


def test_no_name_can_forge_a_line():
    stream = io.StringIO()
    AccessLog(stream, json=True).write([LINE])
    [text] = stream.getvalue().splitlines()
    found = json.loads(text)
    assert (found["principal"], found["ms"]) == (EVIL, 12.3)
    assert found["timestamp"] == "1970-01-01T00:00:00.250Z"
    stream = io.StringIO()
    AccessLog(stream, json=False).write([LINE])
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


@pytest.fixture
def logged():
    stream = io.StringIO()
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    logs.configure("info", "json", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_logs_of_libraries_and_ours_come_out_as_json(logged):
    logging.getLogger("lib").warning("hello\nworld", extra={"n": 1})
    structlog.get_logger("ours").info("made", model="fraud")
    first, second = logged()
    assert (first["event"], first["level"], first["n"]) == ("hello\nworld", "warning", 1)
    assert (second["event"], second["model"], second["logger"]) == ("made", "fraud", "ours")


def test_secrets_that_got_into_a_text_do_not_get_out(logged):
    token = "mreg_" + "a" * 61
    try:
        int(f"postgresql://u:hunter2@h/d {token}")
    except ValueError:
        logging.getLogger("lib").exception("failed with Bearer %s", token)
    text = json.dumps(logged())
    assert "hunter2" not in text
    assert token not in text
    assert "ValueError" in text
