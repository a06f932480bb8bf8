"""Writes what was measured, next to what was wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.harness import Comparison

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
    "load_resolve_p50_ms": ("Resolve meanwhile, 1 client, 50 a second, p50 ms", ""),
    "load_resolve_p99_ms": ("Resolve meanwhile, p99 ms", "≤ 15 over idle"),
    "watch_lag_p50_ms": ("1,000 watchers: from the call that promotes to the event, p50 ms", ""),
    "watch_lag_p99_ms": ("1,000 watchers: the same, p99 ms", "< 250"),
    "watch_rss_mib": ("Memory they hold, MiB", ""),
    "watch_resolve_alone_p99_ms": ("Resolve without them, 1 client, 50 a second, p99 ms", ""),
    "watch_resolve_p99_ms": ("Resolve beside them, p99 ms", "unharmed"),
    "cold_start_s": ("Cold start to serving, embedded, s", "< 1.5"),
    "import_client_s": ("`import registry_grpc.client` with the interpreter's start, s", "< 0.3"),
}


def write(
    directory: Path, machine: Mapping[str, str], results: Sequence[Comparison], facts: Mapping[str, float]
) -> None:
    """Write benchmarks.md and benchmarks.json into `directory`."""
    directory.mkdir(exist_ok=True)
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. One machine runs everything: server, load client, PostgreSQL and MinIO",
        "share its cores. Trust the ratios (median of the ratios of interleaved rounds) before the rates.",
        "",
        "Machine: " + ", ".join(f"{key} {value}" for key, value in machine.items()),
        "",
        "| what | contender | median | ratio to limit (min to max) | details | goal |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        for contender in result.samples:
            ratios = result.ratios(contender)
            shown = (
                "limit"
                if contender == result.limit
                else f"**{result.ratio(contender):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})"
            )
            details = ", ".join(
                f"{key} {result.detail(contender, key):.2f}" for key in result.samples[contender][0].details
            )
            lines.append(
                f"| {result.name} | {contender} | {result.median(contender):.0f} {result.unit} | {shown} "
                f"| {details} | {result.goal if contender != result.limit else ''} |",
            )
    lines += ["", "| what | measured | goal |", "|---|---|---|"]
    lines += [f"| {_FACTS[key][0]} | {value:.2f} | {_FACTS[key][1]} |" for key, value in facts.items()]
    page = directory / "benchmarks.md"
    _, heading, notes = page.read_text().partition(f"\n## {NOTES}\n") if page.exists() else ("", "", "")
    page.write_text("\n".join(lines) + "\n" + heading + notes)
    raw = {"machine": machine, "facts": facts, "comparisons": [asdict(result) for result in results]}
    (directory / "benchmarks.json").write_text(json.dumps(raw, indent=1) + "\n")
