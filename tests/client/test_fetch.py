"""`mreg-fetch` as KServe and an init container run it: a real process, a real server, a directory that is there."""

import json
import os
import stat
import subprocess
import sys

import pytest

from tests.kit.catalogue import new_id
from tests.kit.proxy import Proxy
from tests.kit.signing import Signer
from tests.kit.waiting import until

PROGRAM = "from registry_grpc.cli.fetch import main; main()"
USAGE, DENIED, CONFLICT, UNAVAILABLE, INTEGRITY = 2, 4, 5, 6, 7


@pytest.fixture
def environment(server, tmp_path):
    token = tmp_path / "token"
    token.write_text(server.token)
    known = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    return known | {"MREG_ENDPOINT": server.endpoint, "MREG_TOKEN_FILE": str(token)}


@pytest.fixture
def fetch(environment):
    def run(*arguments, **more):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, arguments)],
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, told(done.stderr)

    return run


def told(stderr):
    """The lines of it that are JSON: argparse and gRPC write their own."""
    return [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]


@pytest.fixture
def pinned(registry, tree):
    version = registry.push(new_id("m"), tree)
    _, project, _, model, _, number = version.name.split("/")
    return f"mreg://{project}/{model}/{number}@{version.manifest_digest}"


@pytest.fixture
def dest(tmp_path):
    """As kubelet mounts a volume: there, and empty."""
    path = tmp_path / "mnt"
    path.mkdir()
    return path


def content(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def model_of(reference):
    return reference.removeprefix("mreg://").partition("@")[0].replace("/", ":", 1).partition("/")[0]


def test_a_pinned_version_fills_the_directory_once(fetch, pinned, dest, tree):
    before = dest.stat().st_ino
    code, lines = fetch(pinned, dest)
    assert code == 0, lines
    assert lines[-1]["event"] == "fetched"
    assert lines[-1]["digest"] == pinned.partition("@")[2]
    assert content(dest) == content(tree)
    assert dest.stat().st_ino == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in dest.rglob("*") if path.is_file()} == {0o444}
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o055 == 0o055 for path in dest.rglob("*") if path.is_dir())
    assert not (dest / ".mreg").exists()
    code, lines = fetch(pinned, dest)
    assert (code, lines[-1]["event"]) == (0, "already there")


def test_several_pairs_and_a_volume_with_lost_and_found(fetch, pinned, dest, tree, tmp_path):
    (dest / "lost+found").mkdir()
    code, lines = fetch(pinned, dest, pinned, tmp_path / "made" / "by it")
    assert code == 0, lines
    assert content(dest) == content(tmp_path / "made" / "by it") == content(tree)


def test_what_floats_is_refused_unless_asked_for(fetch, pinned, dest, registry, tree):
    registry.promote(f"{model_of(pinned)}/1", "staging")
    floating = pinned.rpartition("/")[0] + "@staging"
    for reference in (floating, pinned.rpartition("/")[0]):
        code, lines = fetch(reference, dest)
        assert code == USAGE
        assert "allow-floating" in lines[-1]["event"]
        assert not content(dest)
    code, lines = fetch(floating + "?allow-floating=true", dest)
    assert code == 0, lines
    assert content(dest) == content(tree)
    assert fetch(floating, dest, "--allow-floating")[0] == 0
    assert fetch(floating, dest, MREG_ALLOW_FLOATING="true")[0] == 0


def test_a_number_without_a_digest_is_pinned(fetch, pinned, dest):
    assert fetch(pinned.partition("@")[0], dest)[0] == 0


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("mreg://default/{model}/1@sha256:" + "0" * 64, INTEGRITY),
        ("mreg://default/{model}/9", 3),
        ("no reference!", USAGE),
    ],
)
def test_what_is_not_there_is_told_by_the_exit_code(fetch, pinned, dest, reference, code):
    model = model_of(pinned).partition(":")[2]
    found, lines = fetch(reference.format(model=model), dest)
    assert found == code, lines
    assert lines[-1]["level"] == "error"
    assert not content(dest)


def test_a_source_without_a_directory_is_a_usage_error(fetch, pinned):
    assert fetch(pinned)[0] == USAGE


def test_without_rights_it_is_denied(fetch, pinned, dest, tmp_path):
    (tmp_path / "wrong").write_text("mreg_wrong")
    code, lines = fetch(pinned, dest, MREG_TOKEN_FILE=str(tmp_path / "wrong"))
    assert code == DENIED, lines
    assert not content(dest)


def test_files_of_others_are_left_alone(fetch, pinned, dest):
    (dest / "notes.txt").write_text("mine")
    code, lines = fetch(pinned, dest)
    assert code == CONFLICT
    assert "notes.txt" in lines[-1]["event"]
    assert content(dest) == {"notes.txt": b"mine"}


def test_a_run_that_was_killed_is_finished_by_the_next(environment, fetch, server, registry, dest, tmp_path):
    big = tmp_path / "big"
    big.mkdir()
    for name in ("a.bin", "b.bin", "c.bin"):
        (big / name).write_bytes(os.urandom(2_000_000))
    model = new_id("m")
    registry.push(model, big)
    with Proxy(server.endpoint) as proxy:
        proxy.fault(bytes_per_s=1e6)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, f"{model}/1", str(dest)],
            env=environment | {"MREG_ENDPOINT": proxy.endpoint},
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: any(path.stat().st_size for path in (dest / ".mreg").glob("partial/*")), 60)
        finally:
            process.kill()
            process.wait(30)
    assert (dest / ".mreg").is_dir()
    # As if it had got further, with another version, and somebody had meddled.
    (dest / "a.bin").write_bytes(b"half")
    (dest / "of another").write_bytes(b"x")
    (dest / "b.bin").symlink_to(tmp_path / "elsewhere")
    code, lines = fetch(f"{model}/1", dest)
    assert code == 0, lines
    assert content(dest) == content(big)
    assert not (tmp_path / "elsewhere").exists()
    assert not any(path.is_symlink() for path in dest.rglob("*"))


def test_a_shared_cache_is_asked_first_and_not_believed(fetch, pinned, dest, tree, tmp_path):
    cache = tmp_path / "shared"
    assert fetch(pinned, dest, MREG_CACHE_DIR=str(cache))[0] == 0
    blobs = [path for path in (cache / "blobs").rglob("*") if path.is_file()]
    assert blobs
    before = {path: path.stat().st_ino for path in blobs}
    assert fetch(pinned, tmp_path / "second", MREG_CACHE_DIR=str(cache))[0] == 0
    assert {path: path.stat().st_ino for path in blobs} == before, "fetched again"
    assert not {path.stat().st_ino for path in dest.rglob("*") if path.is_file()} & set(before.values()), "linked"
    for path in blobs:
        path.chmod(0o600)
        path.write_bytes(bytes(path.stat().st_size))
    assert fetch(pinned, tmp_path / "third", MREG_CACHE_DIR=str(cache))[0] == 0
    assert content(tmp_path / "third") == content(tree)


def test_signatures_are_asked_for_as_wanted(fetch, registry, pinned, dest, tmp_path):
    version = f"{model_of(pinned)}/1"
    signer = Signer()
    (tmp_path / "key.pem").write_bytes(signer.private)
    code, lines = fetch(pinned, dest, "--signature", "Required")
    assert (code, content(dest)) == (CONFLICT, {}), lines
    registry.sign_version(version, tmp_path / "key.pem")  # of nobody that is trusted
    for wanted in ("IfPresent", "Required"):
        code, lines = fetch(pinned, dest, MREG_SIGNATURE=wanted)
        assert (code, content(dest)) == (CONFLICT, {}), lines
        assert "no valid signature" in lines[-1]["event"]
    registry.trusted_signers.create(new_id("s"), public_key=signer.public)
    registry.sign_version(version, tmp_path / "key.pem")
    assert fetch(pinned, dest, "--signature", "Required")[0] == 0


def test_a_registry_that_is_away_is_told_so(fetch, pinned, dest):
    code, lines = fetch(pinned, dest, MREG_ENDPOINT="127.0.0.1:1")
    assert code == UNAVAILABLE, lines
