"""Writes what was measured, next to what was wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.harness import Comparison, Sample
from tests.bench.search import QUESTIONS, VERSIONS

NOTES = "What holds it back"
"""Heading of the part that people write; it is kept when the rest is written anew."""
_FACTS = {
    "create_version_per_s": ("CreateVersion, 8 clients, PostgreSQL, calls/s", ""),
    "create_version_p50_ms": ("CreateVersion p50, ms", ""),
    "create_version_p99_ms": ("CreateVersion p99, ms", ""),
    "second_push_ms_per_file": ("A second push of the same bytes, 32 files of 1 MiB, ms a file", "< 50"),
    "upload_rss_added_mib": ("Memory one active upload adds, MiB", "≤ 64"),
    "server_rss_idle_mib": ("Memory of an idle server after an upload, MiB", ""),
    "unary_idle_p50_ms": ("Resolve, 1 client, idle, p50 ms", ""),
    "unary_idle_p99_ms": ("Resolve, 1 client, idle, p99 ms", ""),
    "unary_during_upload_p50_ms": ("Resolve, 1 client, during one upload, p50 ms", "≤ 2x idle"),
    "unary_during_upload_p99_ms": ("Resolve, 1 client, during one upload, p99 ms", "≤ 15"),
    "load_mb_per_s": ("8 uploads of 2 GiB at once, MB/s together", ""),
    "load_rss_per_upload_mib": ("Memory each of them adds at the peak, MiB", "≤ 64"),
    "load_rss_second_half_mib": ("Memory in the second half over the first, MiB", "flat"),
    "load_resolve_idle_p99_ms": ("Resolve before them, 1 client, 50 a second, p99 ms", ""),
    "load_bare_idle_p99_ms": ("A bare server before them, likewise, p99 ms", ""),
    "load_resolve_p50_ms": ("Resolve meanwhile, 1 client, 50 a second, p50 ms", ""),
    "load_resolve_p99_ms": ("Resolve meanwhile, p99 ms", "≤ 15 over idle"),
    "load_bare_p99_ms": ("A bare server at the same time, which has no part in them, p99 ms", ""),
    "watch_lag_p50_ms": ("1,000 watchers: from the call that promotes to the event, p50 ms", ""),
    "watch_lag_p99_ms": ("1,000 watchers: the same, p99 ms", "< 250"),
    "watch_rss_mib": ("Memory they hold, MiB", ""),
    "watch_resolve_alone_p99_ms": ("Resolve without them, 1 client, 50 a second, p99 ms", ""),
    "watch_resolve_p99_ms": ("Resolve beside them, p99 ms", "unharmed"),
    "watch_bare_p99_ms": ("A bare server at the same time, which has no part in it, p99 ms", ""),
    "cold_start_s": ("Cold start to serving, embedded, s", "< 1.5"),
    "import_client_s": ("`import registry_grpc.client` with the interpreter's start, s", "< 0.3"),
}


_FACTS |= {
    f"search_{engine}_{question}": (f"Search of {VERSIONS} versions, {engine}: {question}, p50 ms", "< 100")
    for engine in ("postgresql", "sqlite")
    for question in QUESTIONS
}


def write(
    directory: Path, machine: Mapping[str, str], results: Sequence[Comparison], facts: Mapping[str, float]
) -> None:
    """Write benchmarks.md and benchmarks.json into `directory`; what was not measured this time stays as it was."""
    directory.mkdir(exist_ok=True)
    kept = directory / "benchmarks.json"
    raw = json.loads(kept.read_text()) if kept.exists() else {"facts": {}, "comparisons": []}
    commit = machine["commit"]
    named = {each["name"]: each for each in raw["comparisons"]}
    named |= {result.name: {**asdict(result), "commit": commit} for result in results}
    comparisons = list(named.values())
    known = {key: each for key, each in raw["facts"].items() if key in _FACTS and key not in facts}
    known |= {key: {"value": value, "commit": commit} for key, value in facts.items()}
    ordered = {key: known[key] for key in _FACTS if key in known}
    raw = {"machine": machine, "facts": ordered, "comparisons": comparisons}
    kept.write_text(json.dumps(raw, indent=1) + "\n")
    page = directory / "benchmarks.md"
    _, heading, notes = page.read_text().partition(f"\n## {NOTES}\n") if page.exists() else ("", "", "")
    page.write_text("\n".join([*_head(machine), *_compared(comparisons), *_single(ordered)]) + "\n" + heading + notes)


def _head(machine: Mapping[str, str]) -> list[str]:
    return [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. One machine runs everything: server, load client, PostgreSQL and MinIO",
        "share its cores. Trust the ratios (median of the ratios of interleaved rounds) before the rates. Each row",
        "tells the commit it was measured at.",
        "",
        "Last run: " + ", ".join(f"{key} {value}" for key, value in machine.items()),
    ]


def _compared(comparisons: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("", "| what | contender | median | ratio to limit (min to max) | details | goal | commit |")
    yield "|---|---|---|---|---|---|---|"
    for each in comparisons:
        result = _result(each)
        for contender, samples in result.samples.items():
            ratios, is_limit = result.ratios(contender), contender == result.limit
            ratio = f"**{result.ratio(contender):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})"
            details = ", ".join(f"{key} {result.detail(contender, key):.2f}" for key in samples[0].details)
            shown, goal = ("limit", "") if is_limit else (ratio, result.goal)
            median = f"{result.median(contender):.0f} {result.unit}"
            yield f"| {result.name} | {contender} | {median} | {shown} | {details} | {goal} | {each['commit']} |"


def _result(raw: Mapping[str, Any]) -> Comparison:
    samples = {name: [Sample(**sample) for sample in found] for name, found in raw["samples"].items()}
    return Comparison(raw["name"], raw["unit"], raw["limit"], raw["goal"], samples)


def _single(facts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from ("", "| what | measured | goal | commit |", "|---|---|---|---|")
    for key, each in facts.items():
        yield f"| {_FACTS[key][0]} | {each['value']:.2f} | {_FACTS[key][1]} | {each['commit']} |"
