"""Measures and writes docs/benchmarks.md and docs/benchmarks.json: `make bench` (MREG_BENCH_MIB, MREG_BENCH_ROUNDS)."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import calls, corpus, load, policies, search, search_peers, watchers
from tests.bench.harness import ROOT, Comparison, compare, machine, rss_mib
from tests.bench.report import write
from tests.bench.transfers import Direct, Registry, make_file
from tests.kit.engines import Bucket, fresh_bucket, fresh_database, service_environment
from tests.kit.server import RegistryServer, distributed, running

SIZE_MIB = int(os.environ.get("MREG_BENCH_MIB", "1024"))
ROUNDS = int(os.environ.get("MREG_BENCH_ROUNDS", "5"))
_FACTS: dict[str, Callable[[RegistryServer], dict[str, float]]] = {
    "create": calls.create_versions,
    "push": calls.second_push,
    "load": load.eight_uploads,
    "watch": watchers.watchers,
}
EVERYTHING = {"resolve", "create", "push", "transfer", "load", "peers", "corpus", "watch", "policies", "search"}


def main() -> None:
    """Every comparison, each on servers over PostgreSQL and MinIO."""
    wanted = set(sys.argv[1:]) or EVERYTHING
    if unknown := wanted - EVERYTHING:
        sys.exit(f"nothing is called {sorted(unknown)}; there is {sorted(EVERYTHING)}")
    env = service_environment()
    postgres = env["MREG_TEST_POSTGRES_URL"]
    keys = (env["MREG_TEST_MINIO_ENDPOINT"], env["MREG_TEST_MINIO_ACCESS_KEY"], env["MREG_TEST_MINIO_SECRET_KEY"])
    results: list[Comparison] = []
    facts: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        bucket = stack.enter_context(fresh_bucket(*keys))

        def start() -> RegistryServer:
            url = stack.enter_context(fresh_database(postgres))
            return stack.enter_context(running(distributed(url, bucket)))

        server = start()
        if "resolve" in wanted:
            results.append(calls.resolve(server, ROUNDS))
        for name in sorted(wanted & set(_FACTS)):
            facts |= _FACTS[name](server)
        if "policies" in wanted:
            results.append(policies.promotions(server, ROUNDS))
        if "peers" in wanted:
            results += calls.peers(server, postgres, ROUNDS)
        if "transfer" in wanted:
            results += _transfers(server, bucket, facts)
        if "search" in wanted:
            filled = stack.enter_context(fresh_database(postgres))
            facts |= search.searches(filled, "postgresql", ROUNDS)
            results += search_peers.searches_beside(filled, bucket, postgres, ROUNDS)
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            facts |= search.searches(f"sqlite:///{directory}/registry.db", "sqlite", ROUNDS)
        if "corpus" in wanted:
            results += corpus.costs(start(), start(), ROUNDS)
        facts |= calls.starts()
        write(ROOT / "docs", machine(), results, facts)
    print(json.dumps(facts, indent=2))


def _transfers(server: RegistryServer, bucket: Bucket, facts: dict[str, float]) -> list[Comparison]:
    """Up and down in one stream; the memory and the latency that costs go into `facts`."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "model.bin"
        sha256 = make_file(file, SIZE_MIB)
        mine, direct = Registry(server, file, sha256), Direct(bucket, file, sha256)
        facts |= _memory(mine)
        results = [
            compare(
                f"upload {SIZE_MIB} MiB",
                "MB/s",
                {"minio SDK put_object": direct.upload, "WriteUpload": mine.upload},
                limit="minio SDK put_object",
                goal="goal ≥ 0.90, must ≥ 0.80",
                rounds=ROUNDS,
            ),
            compare(
                f"download {SIZE_MIB} MiB",
                "MB/s",
                {"minio SDK get_object": direct.download, "ReadArtifact": mine.download},
                limit="minio SDK get_object",
                goal="goal ≥ 0.90",
                rounds=ROUNDS,
            ),
        ]
        facts |= calls.latency_during_upload(server, mine)
        return results


def _memory(mine: Registry) -> dict[str, float]:
    """Resident memory an active upload adds to a server that has served one before."""
    mine.upload()
    idle = mine.peak_mib = rss_mib(mine.pid)
    mine.upload()
    peak, mine.peak_mib = mine.peak_mib, None
    return {"upload_rss_added_mib": peak - idle, "server_rss_idle_mib": idle}


if __name__ == "__main__":
    main()
