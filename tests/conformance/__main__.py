"""`make conformance`: every case, in every language, against both deployments; a table, and what failed."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.cases import load
from tests.conformance.running import LANGUAGES, Place, Result, run
from tests.kit.engines import fresh_bucket, fresh_database, service_environment
from tests.kit.server import distributed, running

EMBEDDED, DISTRIBUTED = "SQLite + local files", "PostgreSQL + MinIO"
MOST_SHOWN = 40


def main() -> int:
    """0 when every case passed everywhere."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--languages", nargs="+", default=LANGUAGES, choices=LANGUAGES)
    asked.add_argument("--deployments", nargs="+", default=[EMBEDDED, DISTRIBUTED], choices=[EMBEDDED, DISTRIBUTED])
    asked.add_argument("--only", default="", help="cases whose name has this in it")
    given = asked.parse_args()
    cases = [case for case in load() if given.only in case.name]
    rows: list[tuple[str, str, list[Result], float]] = []
    for name in given.deployments:
        here = [case for case in cases if case.on in {"", name}]
        with deployed(name) as place:
            for language in given.languages:
                began = time.monotonic()
                rows.append((language, name, run(language, here, place), time.monotonic() - began))
    report(rows)
    return int(any(result.failures for _, _, results, _ in rows for result in results))


@contextlib.contextmanager
def deployed(name: str) -> Iterator[Place]:
    """A server of its own, and a directory to work in."""
    with contextlib.ExitStack() as stack:
        settings = {}
        if name == DISTRIBUTED:
            env = service_environment()
            keys = ("MREG_TEST_MINIO_ENDPOINT", "MREG_TEST_MINIO_ACCESS_KEY", "MREG_TEST_MINIO_SECRET_KEY")
            bucket = stack.enter_context(fresh_bucket(*(env[key] for key in keys)))
            url = stack.enter_context(fresh_database(env["MREG_TEST_POSTGRES_URL"]))
            settings = distributed(url, bucket)
        server = stack.enter_context(running(settings))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mreg-conformance-")))
        yield Place(name, server.endpoint, server.token, scratch)


def report(rows: list[tuple[str, str, list[Result], float]]) -> None:
    """The table, then each failure and each skip with its reason."""
    print(f"{'language':<12}{'deployment':<24}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for language, deployment, results, seconds in rows:
        failed = sum(bool(result.failures) for result in results)
        skipped = sum(bool(result.skipped) and not result.failures for result in results)
        passed = len(results) - failed - skipped
        print(f"{language:<12}{deployment:<24}{passed:>8}{failed:>8}{skipped:>9}{seconds:>9.1f}")
    for language, deployment, results, _ in rows:
        for result in results:
            if result.skipped:
                print(f"\nskipped, {language}: {result.case}: {result.skipped}")
        failures = [f"{result.case}: {each}" for result in results for each in result.failures]
        for line in failures[:MOST_SHOWN]:
            print(f"\nFAILED, {language}, {deployment}: {line}")
        if len(failures) > MOST_SHOWN:
            print(f"\n… and {len(failures) - MOST_SHOWN} more")


if __name__ == "__main__":
    sys.exit(main())
