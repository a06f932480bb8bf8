"""P06: what watches tell, over three replicas that are killed, stopped and cut off, is what the event table says."""

import contextlib
import os
import signal
import threading
import time

import pytest
from google.protobuf.duration_pb2 import Duration

from registry_grpc.client import Registry, RegistryError
from registry_grpc.client.watch import EVERYTHING
from registry_grpc.v1 import events_pb2
from tests.kit.deployments import distributed_settings
from tests.kit.proxy import Proxy
from tests.kit.server import running
from tests.kit.waiting import until
from tests.kit.watching import (
    Follower,
    RawFollower,
    logged,
    require_complete_unique_and_atomic,
    require_ordered,
    require_progress,
    require_resumable,
)

WRITERS = 2
QUIET_S = 6.0
"""How long the model `moved` rests, so that PROGRESS comes; it comes every 5 s."""


class Writers:
    """Change models, versions and stages until told to stop. What fails is tried again: only the log counts."""

    def __init__(self, registry, versions):
        self._registry, self._versions = registry, versions
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def _work(self, number):
        turn, quiet_until = 0, 0.0
        while not self._ended.is_set():
            turn += 1
            with contextlib.suppress(RegistryError):
                self._registry.create_version(f"busy-{number}")
                version = self._versions[turn % 2]
                self._registry.promote(version.location, "staging" if turn % 3 else "archived")
                if number == 0 and time.monotonic() > quiet_until:
                    self._registry.update_model("moved", description=f"turn {turn}")
                    quiet_until = time.monotonic() + QUIET_S
            self._ended.wait(0.02)

    def stop(self):
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def disturb(replicas, proxy):
    """Every replica is killed and stopped once, and the connections through the proxy are cut."""
    for replica in replicas:
        time.sleep(1)
        replica.kill()
        proxy.cut()
        replica.start()
        os.kill(replica.process.pid, signal.SIGSTOP)
        time.sleep(1.5)
        os.kill(replica.process.pid, signal.SIGCONT)
    # Long enough without a fault that PROGRESS comes, and something behind it.
    time.sleep(QUIET_S + 2)


def judge(follower, log, upto):
    """Of a watch that ended: no event is missing, repeated, torn or out of order."""
    assert follower.error is None
    require_ordered(follower.told)
    require_complete_unique_and_atomic(follower.told, log, follower.begun, upto)


@pytest.mark.promise("P06", "replicas")
def test_no_watch_misses_repeats_or_reorders_anything(service_environment, tmp_path):
    with contextlib.ExitStack() as stack:
        settings = stack.enter_context(distributed_settings(service_environment))
        replicas = [stack.enter_context(running(settings)) for _ in range(3)]
        token = replicas[0].token
        proxy = stack.enter_context(Proxy(replicas[0].endpoint))
        endpoints = [each.endpoint for each in replicas]
        registry = stack.enter_context(Registry(",".join(endpoints), token=token, cache_dir=tmp_path / "cache"))
        for number in range(WRITERS):
            registry.create_model(f"busy-{number}")
        versions = []
        for number in range(2):
            (tmp_path / "w.bin").write_bytes(bytes([number]) * 100)
            versions.append(registry.push("moved", tmp_path / "w.bin"))
        watches = {
            "all replicas": ",".join(endpoints),
            "all, slow": ",".join(reversed(endpoints)),
            "one replica": endpoints[1],
            "through a proxy": proxy.endpoint,
        }
        followers = []
        for name, endpoint in watches.items():
            client = stack.enter_context(Registry(endpoint, token=token))
            follower = Follower(client.watch(EVERYTHING, progress_s=5), slow_s=0.05 if "slow" in name else 0.0)
            stack.callback(follower.close)
            followers.append(follower.synced())
        everything = RawFollower([proxy.endpoint, *endpoints], token, parent=EVERYTHING)
        wish = {"resource_types": ["Model"], "progress_interval": Duration(seconds=5)}
        model = RawFollower(endpoints[2:], token, parent="projects/default/models/moved", **wish)
        raws = (everything, model)
        for raw in raws:
            stack.callback(raw.close)
            until(lambda raw=raw: raw.error or raw.messages, 30)
        writers = Writers(registry, versions)
        try:
            disturb(replicas, proxy)
        finally:
            writers.stop()
        upto = registry.update_model("moved", description="the end").revision
        for follower in (*followers, *raws):
            follower.hurry()
            follower.reached(upto)
        log = logged(settings["database_url"])
        log_of_model = logged(settings["database_url"], kinds={"model"}, model="moved")
        for follower in (*followers, everything):
            judge(follower, log, upto)
        judge(model, log_of_model, upto)
        require_progress(model, log_of_model, upto)
        require_progress(everything, log, upto)
        require_resumable(everything, log, upto, endpoints, token)
        assert model.of(events_pb2.WatchResponse.KIND_PROGRESS)
        assert min(raw.streams for raw in raws) > 1
        assert upto - min(follower.begun for follower in followers) > 50


@pytest.mark.promise("P06", "log")
def test_a_watch_that_is_far_behind_is_fed_from_the_log(service_environment):
    with contextlib.ExitStack() as stack:
        settings = stack.enter_context(distributed_settings(service_environment))
        server = stack.enter_context(running(settings))
        with Registry(server.endpoint, token=server.token) as registry:
            registry.create_model("long")
            with registry.watch(EVERYTHING) as watch:
                token = next(change.resume_token for change in watch if change.resume_token)
                begun = registry.server_info().current_revision
            for _ in range(1500):
                registry.create_version("long")
            upto = registry.update_model("long", description="the end").revision
        # Nothing of it is in the memory of a server that was not there.
        server.kill()
        server.start()
        with Registry(server.endpoint, token=server.token) as registry:
            follower = Follower(registry.watch(EVERYTHING, resume_token=token))
            stack.callback(follower.close)
            follower.reached(upto)
            require_ordered(follower.told)
            require_complete_unique_and_atomic(follower.told, logged(settings["database_url"]), begun, upto)
