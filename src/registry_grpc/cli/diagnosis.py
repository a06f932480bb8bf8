"""`mreg doctor`: is the connection all right, and if not, where does it end."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from registry_grpc.cli.context import Globals, Output
from registry_grpc.cli.failures import exit_code

if TYPE_CHECKING:
    from registry_grpc.client import Registry

CONNECT_TIMEOUT_S = 5.0
ROUND_TRIPS = 5
MAX_SKEW_S = 5.0
_HEALTH = {0: "unknown", 1: "serving", 2: "not serving", 3: "unknown service"}
_SERVING = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `ok` None means that it says nothing either way."""

    check: str
    ok: bool | None
    text: str


def doctor(ctx: typer.Context) -> None:
    """Check endpoint, TLS, health, token, server, clock and round-trip time."""
    from registry_grpc.cli import output
    from registry_grpc.client import RegistryError

    chosen: Globals = ctx.obj
    findings: list[Finding] = []
    failure: RegistryError | None = None
    with chosen.registry() as registry:
        for name, check in _checks(registry).items():
            try:
                findings += [Finding(name, ok, text) for ok, text in check()]
            except RegistryError as error:
                failure = failure or error
                findings.append(Finding(name, ok=False, text=error.message))
                if name in {"connect", "token"}:
                    break
    if chosen.output in {Output.JSON, Output.YAML}:
        output.data(chosen.output, [{"check": f.check, "ok": f.ok, "finding": f.text} for f in findings])
    else:
        marks = {True: "ok", False: "FAIL", None: "-"}
        print(output.table(["check", "", "finding"], [(f.check, marks[f.ok], f.text) for f in findings]))
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(exit_code(failure) if failure else 1)


def _checks(registry: Registry) -> dict[str, Callable[[], Iterator[tuple[bool | None, str]]]]:
    """Name of each check to what runs it, in the order in which one rests on the other."""
    return {
        "endpoint": lambda: _endpoint(registry),
        "connect": lambda: _connect(registry),
        "health": lambda: _health(registry),
        "token": lambda: _token(registry),
        "server": lambda: _server(registry),
        "round trip": lambda: _round_trip(registry),
        "clock": lambda: _clock(registry),
    }


def _endpoint(registry: Registry) -> Iterator[tuple[bool | None, str]]:
    settings = registry.connection.settings
    tls = "plaintext"
    if settings.tls:
        tls = f"TLS, trusting {settings.ca_file or 'the system certificates'}"
        tls += f", as {settings.client_cert}" if settings.client_cert else ""
    yield None, f"{settings.endpoint}, {tls}, project {settings.project}"


def _connect(registry: Registry) -> Iterator[tuple[bool | None, str]]:
    import grpc

    from registry_grpc.client import Unavailable

    begin = time.perf_counter()
    try:
        grpc.channel_ready_future(registry.connection.channel).result(timeout=CONNECT_TIMEOUT_S)
    except grpc.FutureTimeoutError:
        what = "no connection" if not registry.connection.settings.tls else "no TLS connection (port, name, CA?)"
        raise Unavailable(f"{what} to {registry.endpoint} within {CONNECT_TIMEOUT_S:.0f} s") from None
    yield True, f"in {(time.perf_counter() - begin) * 1000:.1f} ms"


def _health(registry: Registry) -> Iterator[tuple[bool | None, str]]:
    import grpc

    from registry_grpc.client.status import error_from_rpc

    # grpc.health.v1 by hand: its generated code is a dependency of the server, and these are two small messages.
    channel = registry.connection.channel
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
    try:
        answer = bytes(call(b"", timeout=CONNECT_TIMEOUT_S))
    except grpc.RpcError as error:
        raise error_from_rpc(error) from error
    status = answer[1] if answer[:1] == b"\x08" else 0
    state = _HEALTH.get(status, str(status))
    yield status == _SERVING, f"{state} (database and artifact store included)"


def _token(registry: Registry) -> Iterator[tuple[bool | None, str]]:
    source = registry.connection.settings.tokens
    if source.token():
        yield None, f"from {source.origin}"
    else:
        yield None, "none; `mreg login`, or give one with --token-file or MREG_TOKEN_FILE"
    yield True, f"accepted as {registry.server_info().caller or 'nobody'}"


def _server(registry: Registry) -> Iterator[tuple[bool | None, str]]:
    info = registry.server_info()
    yield True, f"version {info.server_version}, contract {', '.join(info.api_versions)}"
    yield True, f"registry {info.registry_uid} at revision {info.current_revision}"
    yield None, f"features {', '.join(info.features) or 'none'}"


def _round_trip(registry: Registry) -> Iterator[tuple[bool | None, str]]:
    took_ms = []
    for _ in range(ROUND_TRIPS):
        begin = time.perf_counter()
        registry.server_info()
        took_ms.append((time.perf_counter() - begin) * 1000)
    yield True, f"median {statistics.median(took_ms):.1f} ms, worst {max(took_ms):.1f} ms of {ROUND_TRIPS}"


def _clock(registry: Registry) -> Iterator[tuple[bool | None, str]]:
    """Half of the round trip may have passed since the registry read its clock."""
    before = time.time()
    theirs = registry.server_info().server_time.ToNanoseconds() / 1e9
    skew_s = (before + time.time()) / 2 - theirs
    if abs(skew_s) > MAX_SKEW_S:
        side = "ahead of" if skew_s > 0 else "behind"
        yield False, f"this clock is {abs(skew_s):.0f} s {side} the registry's; set it"
    else:
        yield True, f"within {abs(skew_s) * 1000:.0f} ms of the registry's"
