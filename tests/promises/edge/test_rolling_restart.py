"""Three replicas behind one client are stopped and started in turn while it works: nobody but the log notices."""

import contextlib
import json
import os
import threading
import time

import pytest

from registry_grpc.client import Phase, Registry
from tests.kit.deployments import distributed_settings
from tests.kit.server import running

MIB = 1 << 20
DRAIN_S = 2.0


class Load:
    """Callers of one SDK client, each in a thread, until they are told to stop. Errors are kept, never swallowed."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.done: dict[str, int] = {}
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def run(self, name, step) -> None:
        def work() -> None:
            while not self._ended.is_set():
                try:
                    step()
                except Exception as error:  # noqa: BLE001 - whatever a caller sees is a failure of the promise
                    self.errors.append(f"{name}: {type(error).__name__}: {error}")
                    return
                self.done[name] = self.done.get(name, 0) + 1

        self._threads.append(threading.Thread(target=work, name=name))
        self._threads[-1].start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.promise("P16", "rolling restart")
def test_three_replicas_are_restarted_in_turn_and_no_client_sees_it(service_environment, tmp_path):
    directory = tmp_path / "model"
    directory.mkdir()
    with contextlib.ExitStack() as stack:
        settings = stack.enter_context(distributed_settings(service_environment)) | {"drain_s": str(DRAIN_S)}
        replicas = [stack.enter_context(running(settings)) for _ in range(3)]
        endpoints = ",".join(each.endpoint for each in replicas)
        registry = stack.enter_context(Registry(endpoints, token=replicas[0].token, cache_dir=tmp_path / "cache"))
        registry.create_model("served")
        acknowledged: list[int] = []

        def read() -> None:
            registry.get_model("served")

        def write() -> None:
            acknowledged.append(registry.create_version("served").number)

        pushed: list[bytes] = []
        under_way, restarted = threading.Event(), threading.Event()

        def slowly(progress) -> None:
            if progress.phase is Phase.UPLOAD and not pushed:
                under_way.set()
                restarted.wait(1.5)

        def push() -> None:
            # On its way until all three replicas were stopped, so that one of them stops under it.
            content = os.urandom(24 * MIB)
            (directory / "weights.bin").write_bytes(content)
            version = registry.push(f"pushed-{len(pushed)}", directory, progress=slowly)
            assert (registry.pull(version.location) / "weights.bin").read_bytes() == content
            pushed.append(content)

        load = Load()
        for number in range(3):
            load.run(f"read {number}", read)
        for number in range(2):
            load.run(f"write {number}", write)
        load.run("push", push)
        try:
            assert under_way.wait(20)
            ends = [restart(each) for each in replicas]
        finally:
            restarted.set()
            load.stop()
        found = {each.number for each in registry.list_versions("served")}
        cut = [line for each in replicas for line in ended_by_stop(each)]
    assert load.errors == []
    # The push was not merely lucky: a stream of it was ended by a replica that stopped, and it went on elsewhere.
    assert cut
    assert [code for code, _ in ends] == [0, 0, 0]
    assert max(took_s for _, took_s in ends) < DRAIN_S + 5
    assert len(pushed) >= 1
    assert min(load.done.values()) >= 1
    assert load.done["read 0"] > 100
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= found


def restart(replica):
    """Exit code, and how long the replica took to stop."""
    began = time.monotonic()
    code = replica.stop()
    took_s = time.monotonic() - began
    replica.start()
    return code, took_s


def ended_by_stop(replica):
    """Streams of an upload that the replica ended because it drained."""
    for text in replica.log.splitlines():
        line = json.loads(text)
        if line.get("method") == "ArtifactService.WriteUpload" and line.get("reason") == "DRAINING":
            assert line["code"] == "Unavailable"
            yield line
