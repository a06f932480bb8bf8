"""Two replicas under load with a fault every 30 s: `make soak` (MREG_SOAK_MINUTES, 60). Writes docs/soak.md.

Not part of CI. At the end the event log must explain all that clients were told, every READY byte must hash to its
digest, and the replica that was never killed must not have grown.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from sqlalchemy.engine import make_url

from tests.bench.harness import ROOT, machine, rss_mib
from tests.kit.catalogue import Catalogue
from tests.kit.engines import MinioServer, PostgresServer, fresh_bucket, fresh_database, private_minio, private_postgres
from tests.kit.history import APPLIED, REFUSED, UNKNOWN, Recorder, faults_of, log_of
from tests.kit.proxy import Proxy
from tests.kit.server import PROGRAM, RegistryServer, distributed, running
from tests.promises.writes.clients import VERSIONS, Client
from tests.soak import steady
from tests.soak.files import Pusher
from tests.soak.growth import MAX_SLOPE_MIB, MAX_SLOPE_OBJECTS, Sample, growth, slope

MINUTES = float(os.environ.get("MREG_SOAK_MINUTES", "60"))
EVERY_S = 30.0
SAMPLE_S = 15.0
CLIENTS, MODELS, PUSHERS = 4, 12, 2
PAUSE_S = 0.1
"""Between two calls of a client: an hour at full speed would say no more, and leave the machine to nobody."""
PAGE = ROOT / "docs/soak.md"


@dataclass
class World:
    """What is broken and what must hold."""

    postgres: PostgresServer
    minio: MinioServer
    steady: RegistryServer
    """Never killed: its memory is watched."""
    victim: RegistryServer
    databases: list[Proxy]
    stores: list[Proxy]
    url: str
    faults: Counter[str] = field(default_factory=Counter)

    def kinds(self) -> list[Callable[[], None]]:
        """Faults, each of which heals itself."""
        return [
            self.kill_replica,
            self.cut_database,
            self.swallow_replies,
            self.kill_store,
            self.freeze_replica,
            self.blackhole_database,
            self.slow_store,
            self.kill_database,
            self.cut_store,
        ]

    def kill_replica(self) -> None:
        self.victim.kill()
        self.victim.start()

    def freeze_replica(self) -> None:
        self.victim.signal(signal.SIGSTOP)
        time.sleep(8)
        self.victim.signal(signal.SIGCONT)

    def cut_database(self) -> None:
        for proxy in self.databases:
            proxy.cut()

    def swallow_replies(self) -> None:
        for proxy in self.databases:
            proxy.fault(swallow_replies=True)
        time.sleep(0.2)
        for proxy in self.databases:
            proxy.cut()
            proxy.heal()

    def blackhole_database(self) -> None:
        for proxy in self.databases:
            proxy.blackhole()
        time.sleep(8)
        for proxy in self.databases:
            proxy.heal()
            proxy.cut()

    def kill_database(self) -> None:
        self.postgres.kill()
        time.sleep(2)
        self.postgres.start()

    def kill_store(self) -> None:
        self.minio.kill()
        time.sleep(4)
        self.minio.start()

    def slow_store(self) -> None:
        for proxy in self.stores:
            proxy.fault(bytes_per_s=2e6)
        time.sleep(10)
        for proxy in self.stores:
            proxy.heal()

    def cut_store(self) -> None:
        for proxy in self.stores:
            proxy.cut()


@contextlib.contextmanager
def world() -> Iterator[World]:
    """Two replicas, each behind proxies of its own to a PostgreSQL and a MinIO of our own."""
    with contextlib.ExitStack() as stack:
        postgres, minio = stack.enter_context(private_postgres()), stack.enter_context(private_minio())
        url = make_url(stack.enter_context(fresh_database(postgres.url)))
        bucket = stack.enter_context(fresh_bucket(minio.endpoint, minio.access_key, minio.secret_key))
        plain = url.render_as_string(hide_password=False)
        settings = distributed(plain, bucket) | {"drain_wait_s": "0", "log_level": "warning"}
        databases = [stack.enter_context(Proxy(f"{url.host}:{url.port}")) for _ in range(2)]
        stores = [stack.enter_context(Proxy(minio.endpoint)) for _ in range(2)]
        servers = []
        for database, store, program in zip(databases, stores, (steady.BEGIN + PROGRAM, PROGRAM), strict=True):
            through = url.set(port=int(database.endpoint.rpartition(":")[2])).render_as_string(hide_password=False)
            mine = settings | {"database_url": through, "s3_endpoint": store.endpoint}
            servers.append(stack.enter_context(running(mine, program=program)))
        (servers[1].data_dir / "admin.token").write_text(servers[0].token)
        yield World(postgres, minio, servers[0], servers[1], databases, stores, plain)


def main() -> int:
    """Run, check, report; 0 when everything held."""
    stop = threading.Event()
    with world() as it:
        catalogue = Catalogue(it.steady.api())
        models = [catalogue.model() for _ in range(MODELS)]
        for model in models:
            catalogue.readies(model, VERSIONS)
        history = Recorder()
        apis = [it.steady.api(), it.victim.api()]
        endpoints = [it.steady.endpoint, it.victim.endpoint]
        pushers = [Pusher(number, endpoints, it.steady.token) for number in range(PUSHERS)]
        with ThreadPoolExecutor(CLIENTS + PUSHERS + 2) as pool:
            clients = [
                pool.submit(Client(number, history, models, apis, PAUSE_S).run, stop) for number in range(CLIENTS)
            ]
            files = [pool.submit(pusher.run, stop) for pusher in pushers]
            breaker = pool.submit(break_things, it, stop)
            working = [*clients, *files, breaker]
            samples = watch(it, history, stop, working)
            for work in working:
                work.result()
        found = faults_of(log_of(it.url), history.writes, history.reads, max_staleness_s=15)
        found += [fault for pusher in pushers for fault in pusher.check(it.steady)]
        found += growth(samples)
        report(it, history, pushers, samples, found)
    return 1 if found else 0


def break_things(it: World, stop: threading.Event) -> None:
    """One fault after the other."""
    for fault in itertools.cycle(it.kinds()):
        if stop.wait(EVERY_S):
            return
        fault()
        it.faults[fault.__name__] += 1


def watch(it: World, history: Recorder, stop: threading.Event, working: list[Future[None]]) -> list[Sample]:
    """Look at the steady replica until the time is over, or one of those at work failed; then everybody stops."""
    samples, began = [], time.monotonic()
    assert it.steady.process is not None
    pid = it.steady.process.pid
    while (passed := time.monotonic() - began) < MINUTES * 60 and not any(each.done() for each in working):
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names only, and there are many
        threads = len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
        used, objects = json.loads((it.steady.data_dir / steady.NAME).read_text())
        samples.append(Sample(passed / 60, rss_mib(pid), used, objects, descriptors, threads))
        if len(samples) % 20 == 0:
            print(samples[-1], dict(it.faults), len(history.writes), len(history.reads), flush=True)
        time.sleep(SAMPLE_S)
    stop.set()
    return samples


def report(it: World, history: Recorder, pushers: list[Pusher], samples: list[Sample], found: list[str]) -> None:
    """Write the page."""
    outcomes = Counter(write.outcome for write in history.writes)
    settled = samples[len(samples) // 4 :]
    shown = samples[:: max(1, len(samples) // 12)]
    lines = [
        "# Soak",
        "",
        f"Written by `make soak`; do not edit. {MINUTES:g} minutes, a fault every {EVERY_S:g} s, two replicas over one",
        "PostgreSQL and one MinIO, everything on one machine.",
        "",
        "Machine: " + ", ".join(f"{key} {value}" for key, value in machine().items()),
        "",
        "| what | |",
        "|---|---|",
        f"| changes acknowledged | {outcomes[APPLIED]} |",
        f"| changes refused | {outcomes[REFUSED]} |",
        f"| changes of unknown outcome, settled from the log | {outcomes[UNKNOWN]} |",
        f"| Resolve answered | {len(history.reads)} |",
        f"| versions pushed, pulled and hashed again | {sum(len(pusher.versions) for pusher in pushers)} |",
        f"| pushes and pulls begun again after an error | {sum(pusher.failed for pusher in pushers)} |",
        f"| faults | {', '.join(f'{name} {count}' for name, count in sorted(it.faults.items()))} |",
        "| of the replica that is never killed: | |",
        f"| memory in use, MiB in ten minutes | {slope(settled, 'used_mib'):.2f}, at most {MAX_SLOPE_MIB:g} |",
        f"| Python's objects, in ten minutes | {slope(settled, 'objects'):.0f}, at most {MAX_SLOPE_OBJECTS} |",
        f"| resident memory, MiB in ten minutes | {slope(settled, 'rss_mib'):.2f}, at most {MAX_SLOPE_MIB:g} |",
        f"| descriptors, first and last settled | {settled[0].descriptors}, {settled[-1].descriptors} |",
        f"| threads, first and last settled | {settled[0].threads}, {settled[-1].threads} |",
        "",
        "| minute | resident, MiB | in use, MiB | objects | descriptors | threads |",
        "|---|---|---|---|---|---|",
        *(
            f"| {each.minutes:.1f} | {each.rss_mib:.0f} | {each.used_mib:.1f} | {each.objects} | {each.descriptors} |"
            f" {each.threads} |"
            for each in shown
        ),
        "",
        "**Everything held.**" if not found else "**Broken:**",
        *(f"- {fault}" for fault in found[:30]),
    ]
    PAGE.write_text("\n".join(lines) + "\n")
    PAGE.with_suffix(".json").write_text(json.dumps([asdict(each) for each in samples], indent=0) + "\n")
    print(json.dumps({"faults": dict(it.faults), "outcomes": dict(outcomes), "found": found[:30]}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
