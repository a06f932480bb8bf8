"""P05: what concurrent clients of two replicas were told is explained by the event log, whatever broke meanwhile."""

import contextlib
import itertools
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.engine import make_url

from tests.kit.catalogue import Catalogue
from tests.kit.deployments import distributed_settings, two_replicas
from tests.kit.history import APPLIED, UNKNOWN, Recorder, faults_of, log_of
from tests.kit.proxy import Proxy
from tests.kit.refusals import attempt
from tests.kit.server import running
from tests.promises.writes.clients import VERSIONS, Client

SECONDS = 15 * int(os.environ.get("MREG_PROOF_ROUNDS", "1"))
CLIENTS, MODELS = 8, 12


def break_things(replica, proxies, stop):
    """A fault every two seconds: connections to the database cut, replies swallowed, a replica killed; how many."""
    done = Counter()
    for number in itertools.count():
        if stop.wait(2):
            break
        match number % 3:
            case 0:
                done["cut"] += proxies[1].cut()
            case 1:
                proxies[1].fault(swallow_replies=True)
                stop.wait(0.1)
                done["swallowed"] += proxies[1].cut()
                proxies[1].heal()
            case 2:
                replica.kill()
                replica.start()
                done["killed"] += 1
    return done


@contextlib.contextmanager
def replicas_behind_proxies(environment):
    """Two replicas, each with a proxy of its own before the database; and the database's own address."""
    with distributed_settings(environment) as settings, contextlib.ExitStack() as stack:
        url = make_url(settings["database_url"])
        proxies = [stack.enter_context(Proxy(f"{url.host}:{url.port}")) for _ in range(2)]
        servers = []
        for proxy in proxies:
            through = url.set(port=int(proxy.endpoint.rpartition(":")[2])).render_as_string(hide_password=False)
            servers.append(stack.enter_context(running(settings | {"database_url": through, "drain_wait_s": "0"})))
        (servers[1].data_dir / "admin.token").write_text(servers[0].token)
        yield settings["database_url"], servers, proxies


@pytest.mark.promise("P05", "history")
@pytest.mark.timeout(120 + 3 * SECONDS)
def test_the_log_explains_all_that_clients_of_two_replicas_saw_under_faults(service_environment):
    with replicas_behind_proxies(service_environment) as (url, servers, proxies):
        catalogue = Catalogue(servers[0].api())
        models = [catalogue.model() for _ in range(MODELS)]
        for model in models:
            catalogue.readies(model, VERSIONS)
        catalogue.api.close()
        history, stop = Recorder(), threading.Event()
        apis = [server.api() for server in servers]
        with ThreadPoolExecutor(CLIENTS + 1) as pool:
            clients = [pool.submit(Client(number, history, models, apis).run, stop) for number in range(CLIENTS)]
            breaker = pool.submit(break_things, servers[0], proxies, stop)
            time.sleep(SECONDS)
            stop.set()
            faults = breaker.result()
            for client in clients:
                client.result()
        for api in apis:
            api.close()
        outcomes = Counter(write.outcome for write in history.writes)
        assert not (found := faults_of(log_of(url), history.writes, history.reads)), "\n".join(found[:20])
    # It was a proof only if much was done, and much went wrong.
    assert outcomes[APPLIED] > 5 * SECONDS, outcomes
    assert len(history.reads) > 15 * SECONDS
    assert sum(read.min_revision > 0 for read in history.reads) > 3 * SECONDS
    assert min(faults[kind] for kind in ("cut", "swallowed", "killed")) > 0, faults
    assert outcomes[UNKNOWN] < outcomes[APPLIED]


@pytest.mark.promise("P05", "as of")
def test_right_after_a_rollback_each_moment_resolves_to_what_held_then_on_either_replica(service_environment):
    with two_replicas(service_environment) as (first, second):
        here = Catalogue(first.api())
        there = here.on(second.api())
        model = here.model()
        one, two = here.readies(model, 2)
        here.bring(one.name, "production")

        def held(catalogue, moment, less=timedelta(0)):
            at = Timestamp()
            at.FromDatetime(moment.ToDatetime() - less)
            return attempt(catalogue.resolve, model, stage="production", as_of=at)

        for _ in range(10):
            here.bring(two.name, "production")
            answer = here.rollback(model)
            assert answer.stage.version == one.name
            now = there.history(model, "production")[0]
            for catalogue in (here, there):
                assert held(catalogue, now.assign_time).version == one.name
                assert held(catalogue, now.assign_time, timedelta(microseconds=1)).version == two.name
        here.api.close()
        there.api.close()
