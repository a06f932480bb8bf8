"""Puts known bugs into a copy of the product and shows that the proofs notice: `make seeded`.

The proofs named by all bugs run once in a copy of the tree as it is, where they must pass; then those of each bug run
in a copy with that bug, where at least one must fail. The result goes to docs/seeded-bugs.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.promises.seeded.access_bugs import ACCESS_BUGS
from tests.promises.seeded.audit_bugs import AUDIT_BUGS
from tests.promises.seeded.bugs import BUGS as FIRST_BUGS
from tests.promises.seeded.bugs import Bug
from tests.promises.seeded.card_bugs import CARD_BUGS
from tests.promises.seeded.garbage_bugs import GARBAGE_BUGS
from tests.promises.seeded.governance_bugs import GOVERNANCE_BUGS
from tests.promises.seeded.identity_bugs import IDENTITY_BUGS
from tests.promises.seeded.lineage_bugs import LINEAGE_BUGS
from tests.promises.seeded.search_bugs import SEARCH_BUGS
from tests.promises.seeded.signing_bugs import SIGNING_BUGS
from tests.promises.seeded.slo_bugs import SLO_BUGS
from tests.promises.seeded.watch_bugs import WATCH_BUGS
from tests.promises.seeded.webhook_bugs import WEBHOOK_BUGS

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/seeded-bugs.md"
LIMIT_S, ALL_LIMIT_S = 600.0, 3600.0
BUGS = (
    *FIRST_BUGS,
    *ACCESS_BUGS,
    *IDENTITY_BUGS,
    *WATCH_BUGS,
    *WEBHOOK_BUGS,
    *GARBAGE_BUGS,
    *SIGNING_BUGS,
    *AUDIT_BUGS,
    *GOVERNANCE_BUGS,
    *SLO_BUGS,
    *LINEAGE_BUGS,
    *SEARCH_BUGS,
    *CARD_BUGS,
)


class UndecidedError(Exception):
    """Nothing can be said about a bug: its edit or its proofs no longer fit the tree."""


@dataclass(frozen=True)
class Verdict:
    """What came of one bug."""

    bug: Bug
    caught_by: list[str]
    undecided: str = ""

    def __str__(self) -> str:
        return f"{self.bug.name}: {self.undecided or ', '.join(self.caught_by) or 'NOT CAUGHT'}"


def main() -> int:
    """Check every bug, or those named on the command line; 0 when all are caught."""
    wanted = [bug for bug in BUGS if not sys.argv[1:] or bug.name in sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="seeded-") as text:
        tree = Path(text) / "tree"
        copy(tree)
        proofs = tuple(sorted({proof for bug in wanted for proof in bug.proofs}))
        unsound = set(failures(tree, proofs, ALL_LIMIT_S))
        verdicts = [check(bug, tree, unsound) for bug in wanted]
    if len(wanted) == len(BUGS):
        PAGE.write_text(page(verdicts))
    return 0 if all(verdict.caught_by for verdict in verdicts) else 1


def check(bug: Bug, tree: Path, unsound: set[str]) -> Verdict:
    """Run the proofs of `bug` with it; `unsound` are those that fail without it too."""
    began = time.monotonic()
    copy(tree)
    try:
        put(bug, tree)
        verdict = Verdict(bug, [test for test in failures(tree, bug.proofs) if test not in unsound])
    except (UndecidedError, subprocess.TimeoutExpired) as fault:
        verdict = Verdict(bug, [], f"undecided: {fault}")
    print(f"{verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    return verdict


def put(bug: Bug, tree: Path) -> None:
    """Make the edits of `bug`.

    Raises: UndecidedError when the source no longer reads as the bug expects.
    """
    for edit in bug.edits:
        path = tree / "src/registry_grpc" / edit.file
        source = path.read_text()
        if source.count(edit.old) != 1:
            raise UndecidedError(f"{edit.file} has {source.count(edit.old)} places that read {edit.old!r}")
        path.write_text(source.replace(edit.old, edit.new))


def copy(tree: Path) -> None:
    """What git would commit, without the history."""
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def failures(tree: Path, proofs: tuple[str, ...], limit_s: float = LIMIT_S) -> list[str]:
    """Those of `proofs` that fail in `tree`."""
    from tests.kit.engines import service_environment

    report = tree / "report.txt"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-rfE", *proofs],
        cwd=tree,
        # First on the path: the environment's own copy of the project is the one without the bug.
        env=os.environ | service_environment() | {"PYTHONPATH": f"{tree / 'src'}:{tree}"},
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    report.write_text(done.stdout)
    if done.returncode not in {0, 1}:
        raise UndecidedError(f"pytest ended with {done.returncode}: {done.stdout[-300:]!r}")
    words = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return sorted({word.partition("[")[0] for word in words})


def page(verdicts: list[Verdict]) -> str:
    """The page that lists bugs and what caught them."""
    lines = [
        "# Seeded bugs",
        "",
        "Written by `make seeded`; do not edit. A proof that cannot fail proves nothing: each of these bugs was put",
        "into a copy of the product, and the proofs that noticed are named.",
        "",
        "| bug | what it breaks | caught by |",
        "|---|---|---|",
    ]
    for verdict in verdicts:
        caught = "<br>".join(f"`{test}`" for test in verdict.caught_by) or f"**{verdict.undecided or 'nothing'}**"
        lines.append(f"| {verdict.bug.name} | {verdict.bug.breaks} | {caught} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
