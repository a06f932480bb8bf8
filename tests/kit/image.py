"""What deploy/Dockerfile says, and a container without a container engine: another user, a read-only root."""

import functools
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.kit.engines import ROOT

DOCKERFILE = ROOT / "deploy/Dockerfile"
USER = 10001
_BECOME = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]


@dataclass(frozen=True)
class Step:
    """One instruction."""

    stage: str
    word: str
    rest: str


def steps() -> list[Step]:
    """All instructions, lines that go on put together, without comments."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found, stage = [], ""
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stage = rest.partition(" AS ")[2] or "final"
        found.append(Step(stage, word, rest))
    return found


def of(stage: str, word: str) -> list[str]:
    """What follows each instruction of this kind in a stage."""
    return [step.rest for step in steps() if (step.stage, step.word) == (stage, word)]


def reachable_python() -> str:
    """A Python that other users can run too: that of a developer may lie in a closed home."""
    for name in (Path(sys.executable).resolve(), shutil.which("python3", path="/usr/local/bin:/usr/bin")):
        if name and (os.geteuid() != 0 or _everybody_enters(Path(name).resolve())):
            return str(name)
    raise AssertionError("no python3 that another user could run: install the system's, 3.11 or newer")


def _everybody_enters(path: Path) -> bool:
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))


def contained(command: list[str], *, writable: list[Path]) -> list[str]:
    """The command as the user of the image, without rights, on a root that is read-only but for these directories.

    Who is not root runs it as oneself, with nothing but file modes in the way; a root that may not mount runs it as
    that user, with the same in the way.
    """
    if os.geteuid() != 0:
        return command
    if not _may_mount():
        return [*_BECOME, *command]
    mounts = [f"mount --bind {shlex.quote(str(each))} {shlex.quote(str(each))}" for each in writable]
    script = " && ".join([*mounts, "mount -o remount,bind,ro /", f"exec {shlex.join([*_BECOME, *command])}"])
    return ["unshare", "--mount", "sh", "-ec", script]


@functools.cache
def _may_mount() -> bool:
    tried = ["unshare", "--mount", "sh", "-ec", "mount -o remount,bind,ro /"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0
