import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MAX_LINES = 300


def tracked_files():
    """Return what git knows or would add: a fault is found before it is committed."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path):
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def test_no_source_file_is_longer_than_a_reader_bears():
    sources = [*ROOT.glob("src/**/*.py"), *ROOT.glob("scripts/**/*.py"), *commands()]
    long = {
        str(path.relative_to(ROOT)): length
        for path in sources
        if "registry_grpc/v1/" not in path.as_posix() and (length := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert long == {}


def test_locks_name_no_host():
    locks = [*ROOT.glob("requirements/*"), ROOT / "package-lock.json", ROOT / ".npmrc"]
    hosts = re.compile(r"https?://|--(extra-)?index-url|--find-links|\"resolved\"")
    named = [path.name for path in locks if hosts.search(path.read_text())]
    assert named == []


@pytest.mark.parametrize("lock", ["dev", "demo", "image", "image-build", "uv", "postgres"])
def test_locks_pin_every_package_by_hash(lock):
    lines = (ROOT / f"requirements/{lock}.txt").read_text().splitlines()
    packages = [number for number, line in enumerate(lines) if re.match(r"[a-z]", line)]
    assert packages
    for number in packages:
        assert "==" in lines[number]
        assert lines[number + 1].strip().startswith("--hash=sha256:"), lines[number]


def test_no_tracked_file_holds_a_path_of_somebodys_machine():
    # Home directories and work trees; a path inside a container image is another matter.
    machine = re.compile(r"(?<![\w.$}/-])/(?:root|home|work|Users)/\w")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if machine.search(line)
    ]
    assert found == []


def test_rooms_import_downwards_only():
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_make_target_says_what_it_does():
    rules = re.findall(r"^([a-z][\w-]*):(?!=)(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"help", "demo", "test", "check", "lint", "types", "gen", "lock", "bench"} <= {name for name, _ in rules}
    assert [name for name, rest in rules if "## " not in rest] == []


def test_every_command_can_be_run():
    for command in commands():
        assert command.read_text().startswith("#!"), command
        assert command.stat().st_mode & 0o111, f"{command} is not executable"


def commands():
    return [path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]
