"""What hostile callers leave in logs and metrics, and secrets in neither: rows 81, 82 and 83."""

import json
import os
import subprocess
import sys
import urllib.request

import pytest

from registry_grpc.v1 import stages_pb2
from tests.kit.catalogue import Catalogue
from tests.kit.frames import RawConnection, call, message
from tests.kit.refusals import Refusal, attempt
from tests.kit.server import PROGRAM, running
from tests.kit.waiting import until

INFO = "/registry_grpc.v1.ServerService/GetServerInfo"
RESOLVE = "/registry_grpc.v1.StageService/Resolve"
FORGED = '{"event": "forged"}'


@pytest.mark.promise("P14", "frames")
def test_row_81_nothing_a_caller_sends_can_forge_a_line_of_the_log():
    with running() as server, RawConnection(server.endpoint) as raw:
        name = f"projects/default/models/a\n{FORGED}\n"
        request = message(stages_pb2.ResolveRequest(name=name, stage="s").SerializeToString())
        assert raw.call(call(RESOLVE, token=server.token), request).outcome == "INVALID_ARGUMENT"
        for header in ("x-request-id", "user-agent", "authorization"):
            # gRPC may refuse a header with a newline itself; what counts is the log.
            with RawConnection(server.endpoint) as other:
                other.call(call(INFO, (header, f"a\n{FORGED}"), (header, 'a", "event": "forged"')), message())
        # A line separator of Unicode is legal in a binary header only; text ones are ASCII.
        assert raw.call(call(INFO, ("x-request-id", "ok-1"), token=server.token), message()).outcome == "OK"
        until(lambda: '"ok-1"' in server.log, within_s=5)
        lines = [json.loads(line) for line in server.log.splitlines()]
    assert "forged" not in {line["event"] for line in lines}
    assert all(line["request_id"].isprintable() for line in lines if line["event"] == "call")


@pytest.mark.promise("P14", "frames")
def test_row_82_names_make_no_series():
    with running() as server:
        api = server.api()
        catalogue = Catalogue(api)
        catalogue.model()
        # The series of the leader's jobs come with their first round, of which this one is the last.
        until(lambda: 'registry_job_last_success_timestamp_seconds{task="audit_checkpoint"}' in series(server), 30)
        before = series(server)
        for number in range(200):
            absent = stages_pb2.ResolveRequest(name=f"projects/default/models/absent-{number}", stage=f"stage-{number}")
            assert isinstance(attempt(api.stages.Resolve, absent), Refusal)
        for _ in range(20):
            catalogue.model()
        with RawConnection(server.endpoint) as raw:
            for number in range(50):
                assert raw.call(call(f"/a.Service{number}/Method"), message()).outcome == "UNIMPLEMENTED"
        assert series(server) == before
        api.close()


def series(server) -> set[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=10) as answer:
        return {line.rpartition(" ")[0] for line in answer.read().decode().splitlines() if line[0] != "#"}


@pytest.mark.promise("P14", "frames")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_row_83_a_server_that_cannot_start_shows_no_password(tmp_path, workers):
    password = "correct-horse-battery-staple"
    settings = {
        "database_url": f"postgresql+psycopg://registry:{password}@127.0.0.1:9/registry",
        "artifact_store": "s3",
        "s3_endpoint": "127.0.0.1:9",
        "s3_access_key": "registry",
        "s3_secret_key": password,
        "data_dir": str(tmp_path / "data"),
        "listen": "127.0.0.1:0",
        "metrics_listen": "off",
        "workers": workers,
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=clean | {f"MREG_{name.upper()}": value for name, value in settings.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode != 0
    assert ran.stderr
    assert password not in ran.stdout + ran.stderr
