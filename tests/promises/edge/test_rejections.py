"""What it costs the server to say no: its CPU time per refused call, against a server that only echoes. P14."""

import time
from contextlib import ExitStack

import pytest

from registry_grpc.v1 import models_pb2
from tests.bench.calls import echo
from tests.kit.costs import cpu_ns
from tests.kit.frames import Headers, RawConnection, call, message
from tests.kit.server import running
from tests.kit.waiting import until

RESOLVE = "/registry_grpc.v1.StageService/Resolve"
GET = "/registry_grpc.v1.ModelService/GetModel"
WRITE = "/registry_grpc.v1.ArtifactService/WriteUpload"
INVALID = message(models_pb2.GetModelRequest(name="Projects//x").SerializeToString())

ROUNDS, BURSTS, AT_ONCE = 24, 3, 50
ALLOWED_US = 100.0
ALLOWED_SHARE = 1.25
"""Of an echo: on a machine so busy that an echo costs more than its usual 135 µs, all else costs more too. An echo is
mostly gRPC's C and what is above it mostly Python, which some processors run half as fast beside the same C.
"""
BAD_FIELD_SHARE = 1.5
"""A bad field is found by walking the request, and named with its place, value and rule; so it may cost more."""


def cpu_us_per_call(endpoint: str, pid: int, headers: Headers, body: bytes, outcome: str) -> float:
    """CPU time of `pid` for one such call, in the middle of bursts of them over one connection."""
    with RawConnection(endpoint) as raw:
        assert raw.call(headers, body).outcome == outcome
        before = cpu_ns(pid)
        streams = []
        for _ in range(BURSTS):
            frames = []
            for _ in range(AT_ONCE):
                opened = raw.headers(headers)
                frames.append(opened + raw.data(raw.last, body, end=True))
                streams.append(raw.last)
            raw.send(b"".join(frames))
            for stream in streams[-AT_ONCE:]:
                raw.reply(stream)
        # The lines of the calls are written, and their counts shown, a moment later.
        time.sleep(0.1)
        used = cpu_ns(pid) - before
        assert {raw.reply(stream).outcome for stream in streams} == {outcome}
    return used / 1000 / len(streams)


def above_echo(took: dict[str, list[float]]) -> tuple[float, dict[str, float]]:
    """What an echo costs, and how much more the others do, µs.

    The best eighth of many short rounds: whatever else runs on the machine's cores makes a call dearer, by up to as
    much again, and never cheaper. A median tells how busy the neighbours were.
    """
    best = {name: sorted(values)[len(values) // 8] for name, values in took.items()}
    echo_us = best.pop("echo")
    return echo_us, {name: value - echo_us for name, value in best.items()}


@pytest.mark.promise("P14", "rejections")
def test_a_refused_call_costs_at_most_100_us_above_an_echo():
    with ExitStack() as stack:
        echo_port, echo_pid = stack.enter_context(echo(bytes(60)))
        server = stack.enter_context(running())
        full = stack.enter_context(running({"max_in_flight_per_principal": "1"}))
        # A stream that is held open is the one call this principal may have at the second server.
        holder = stack.enter_context(RawConnection(full.endpoint))
        holder.open(call(WRITE, token=full.token, grpc_timeout=""), end=False)
        refused = call(GET, token=full.token)
        until(lambda: holder.call(refused, message()).outcome == "RESOURCE_EXHAUSTED", within_s=5)
        token, pid = server.token, server.process.pid
        calls = {
            "echo": (f"127.0.0.1:{echo_port}", echo_pid, call(RESOLVE, token=token), message(), "OK"),
            "no token": (server.endpoint, pid, call(GET), message(), "UNAUTHENTICATED"),
            "no such token": (server.endpoint, pid, call(GET, token="x" * 40), message(), "UNAUTHENTICATED"),
            "garbage": (server.endpoint, pid, call(GET, token=token), message(b"\xff\xff"), "INVALID_ARGUMENT"),
            "bad field": (server.endpoint, pid, call(GET, token=token), INVALID, "INVALID_ARGUMENT"),
            "too many": (full.endpoint, full.process.pid, refused, message(), "RESOURCE_EXHAUSTED"),
        }
        took: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, each in calls.items():
                took[name].append(cpu_us_per_call(*each))
    echo_us, above = above_echo(took)
    print(f"us above an echo of {echo_us:.0f}:", {name: round(each) for name, each in above.items()})
    allowed = max(ALLOWED_US, ALLOWED_SHARE * echo_us)
    assert above.pop("bad field") <= allowed * BAD_FIELD_SHARE, (above, took)
    assert max(above.values()) <= allowed, (above, took)
