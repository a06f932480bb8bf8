"""`mreg evidence`: what tools and people found out about a version; and `mreg scan`, which finds out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals
from registry_grpc.cli.failures import ExitCode
from registry_grpc.cli.progress import reporter

if TYPE_CHECKING:
    from registry_grpc.v1 import evidence_pb2

app = typer.Typer(help="Evidence: test results, scans, evaluations and reviews of versions.", no_args_is_help=True)
_Ref = Annotated[str, typer.Argument(help="Version, e.g. fraud/7 or fraud@staging.")]
MAX_SUMMARY = 16_384
_INFECTED = re.compile(r"^Infected files: (\d+)$", re.MULTILINE)
_DANGEROUS = re.compile(r"^Dangerous globals: (\d+)$", re.MULTILINE)
_ISSUES = re.compile(r"^ *(?:Total Issues: (\d+)|No issues found)", re.MULTILINE)


class Kind(StrEnum):
    """Kinds of evidence."""

    TEST = "test"
    SCAN = "scan"
    EVALUATION = "evaluation"
    REVIEW = "review"
    OTHER = "other"


class Outcome(StrEnum):
    """How it came out."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Scanner(StrEnum):
    """Programs that look for code in model files without loading them."""

    PICKLESCAN = "picklescan"
    MODELSCAN = "modelscan"


def _show(chosen: Globals, evidence: evidence_pb2.Evidence) -> None:
    from registry_grpc.cli import evidence_views, output, views

    output.show_one(chosen.output, evidence, evidence_views.EVIDENCE, views.name)


@app.command()
def add(
    ctx: typer.Context,
    ref: _Ref,
    *,
    kind: Annotated[Kind, typer.Option("--kind", help="What kind of evidence.")],
    tool: Annotated[str, typer.Option("--tool", help="What made it, e.g. pytest.")],
    outcome: Annotated[Outcome, typer.Option("--outcome", help="How it came out.")],
    tool_version: Annotated[str, typer.Option("--tool-version", help="Version of the tool.")] = "",
    summary: Annotated[str, typer.Option("--summary", help="What was found, for people.")] = "",
    findings: Annotated[int, typer.Option("--findings", min=0, help="How many findings.")] = 0,
    digest: Annotated[str, typer.Option("--digest", help="Refuse unless this is the version's manifest digest.")] = "",
    report: Annotated[
        Path | None, typer.Option("--report", help="Report to keep the SHA-256 of; it is not sent.")
    ] = None,
    report_uri: Annotated[str, typer.Option("--report-uri", help="Where the report lies.")] = "",
    run_time: Annotated[str | None, typer.Option("--time", help="When it ran, RFC 3339; now when left out.")] = None,
    annotation: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Repeatable.")] = None,
) -> None:
    """Add evidence to a version: what CI found out, or a person."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        made = registry.evidence.add(
            ref,
            kind=str(kind),
            tool=tool,
            outcome=str(outcome),
            tool_version=tool_version,
            summary=summary,
            findings=findings,
            manifest_digest=digest,
            report_sha256=_sha256(report) if report else "",
            report_uri=report_uri,
            run_time=run_time,
            annotations=options.pairs(annotation, "--annotation"),
        )
    _show(chosen, made)


@app.command("list")
def list_evidence(
    ctx: typer.Context,
    ref: _Ref,
    *,
    kind: Annotated[list[Kind] | None, typer.Option("--kind", help="Only of this kind; repeatable.")] = None,
) -> None:
    """List the evidence about a version, the oldest first."""
    from registry_grpc.cli import evidence_views, output, views
    from registry_grpc.v1 import evidence_pb2

    chosen: Globals = ctx.obj
    kinds = [evidence_pb2.EvidenceKind.Value(f"EVIDENCE_KIND_{each.upper()}") for each in kind or ()]
    with chosen.registry() as registry:
        found = registry.evidence.list(ref, kinds=kinds)
        output.show_list(chosen.output, found, evidence_views.EVIDENCES, views.name)


@app.command()
def show(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="Resource name, as `list -o name` has it.")]
) -> None:
    """Show one piece of evidence."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.evidence.get(name))


def scan(
    ctx: typer.Context,
    ref: _Ref,
    *,
    tool: Annotated[
        Scanner, typer.Option("--tool", help="What to run; it must be installed here.")
    ] = Scanner.PICKLESCAN,
) -> None:
    """Pull a version, run a scanner over its files here, and add the result as evidence.

    Exit code 7 unless it passed. No file is loaded. What the scanner cannot read is inconclusive.
    """
    chosen: Globals = ctx.obj
    program = _program(tool)
    with chosen.registry() as registry:
        pinned = registry.resolve(ref)
        with reporter(chosen) as progress:
            directory = registry.pull(pinned.location, progress=progress)
        found = _scanned(tool, program, directory)
        made = registry.evidence.add(pinned.version, manifest_digest=pinned.manifest_digest, **found)
    _show(chosen, made)
    if found["outcome"] != Outcome.PASSED:
        raise typer.Exit(ExitCode.INTEGRITY)


def _program(tool: Scanner) -> str:
    """Where the scanner is: beside this Python, or in PATH.

    Raises: typer.BadParameter.
    """
    beside = Path(sys.executable).with_name(str(tool))
    found = str(beside) if beside.exists() else shutil.which(str(tool))
    if found is None:
        extra = "'registry-grpc[scan]'" if tool is Scanner.PICKLESCAN else str(tool)
        raise typer.BadParameter(f"{tool} is not installed: pip install {extra}", param_hint="--tool")
    return found


def _scanned(tool: Scanner, program: str, directory: Path) -> dict[str, Any]:
    """Fields of the evidence. Both scanners exit with 0 for nothing found and 1 for something."""
    ended = subprocess.run(
        [program, "--path", str(directory)], capture_output=True, text=True, errors="replace", check=False
    )
    said = (ended.stdout + ended.stderr).replace(str(directory), ".")
    patterns = (_ISSUES,) if tool is Scanner.MODELSCAN else (_DANGEROUS, _INFECTED)
    counts = [int(match[1] or 0) for pattern in patterns if (match := pattern.search(said))]
    outcome = {0: Outcome.PASSED, 1: Outcome.FAILED}.get(ended.returncode, Outcome.INCONCLUSIVE)
    if not counts:
        # It ended before it came to its sum: whatever its exit code, nothing is known.
        outcome = Outcome.INCONCLUSIVE
    return {
        "kind": "scan",
        "tool": str(tool),
        "tool_version": _version_of(tool),
        "outcome": str(outcome),
        "findings": max(counts, default=0),
        "summary": "".join(char for char in said if char.isprintable() or char in "\n\t")[-MAX_SUMMARY:],
    }


def _version_of(tool: Scanner) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(str(tool))
    except PackageNotFoundError:
        return ""


def _sha256(path: Path) -> str:
    import hashlib

    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}", param_hint="--report") from error
