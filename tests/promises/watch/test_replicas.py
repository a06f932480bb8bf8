"""P06: what watches tell, over three replicas that are killed, stopped and cut off, is what the event table says."""

import contextlib
import os
import signal
import threading
import time

import pytest

from registry_grpc.client import Registry, RegistryError
from registry_grpc.client.watch import EVERYTHING
from tests.kit.deployments import distributed_settings
from tests.kit.proxy import Proxy
from tests.kit.server import running
from tests.kit.watching import Follower, logged, require_complete_unique_and_atomic, require_ordered

WRITERS = 2


class Writers:
    """Change models, versions and stages until told to stop. What fails is tried again: only the log counts."""

    def __init__(self, registry, versions):
        self._registry, self._versions = registry, versions
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def _work(self, number):
        turn = 0
        while not self._ended.is_set():
            turn += 1
            with contextlib.suppress(RegistryError):
                self._registry.create_version(f"busy-{number}")
                version = self._versions[turn % 2]
                self._registry.promote(version.location, "staging" if turn % 3 else "archived")
            self._ended.wait(0.02)

    def stop(self):
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


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
        followers = {}
        for name, endpoint in watches.items():
            client = stack.enter_context(Registry(endpoint, token=token))
            follower = Follower(client.watch(EVERYTHING, progress_s=5), slow_s=0.05 if "slow" in name else 0.0)
            stack.callback(follower.close)
            followers[name] = follower.synced()
        writers = Writers(registry, versions)
        try:
            for replica in replicas:
                time.sleep(1)
                replica.kill()
                proxy.cut()
                replica.start()
                os.kill(replica.process.pid, signal.SIGSTOP)
                time.sleep(1.5)
                os.kill(replica.process.pid, signal.SIGCONT)
        finally:
            writers.stop()
        upto = registry.update_model("moved", description="the end").revision
        log = logged(settings["database_url"])
        for name, follower in followers.items():
            follower.hurry()
            follower.reached(upto)
            assert follower.error is None, name
            require_ordered(follower.told)
            require_complete_unique_and_atomic(follower.told, log, follower.begun, upto)
        assert upto - min(follower.begun for follower in followers.values()) > 50


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
