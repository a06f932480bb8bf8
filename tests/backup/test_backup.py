"""deploy/backup/mreg-backup: a registry that is destroyed comes back, with its bytes and its audit trail."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_grpc.client import Registry
from registry_grpc.domain.notes import new_key_pem
from tests.kit.deployments import DEPLOYMENTS, EMBEDDED
from tests.kit.engines import ROOT, fresh_bucket, fresh_database, tools
from tests.kit.server import RegistryServer, distributed
from tests.slo.program import mreg

SCRIPT = ROOT / "deploy/backup/mreg-backup"
MIB = 1 << 20

# Each test starts half a dozen programs, one after the other.
pytestmark = pytest.mark.timeout(360)


@dataclass
class Place:
    """Where a registry is, or may be restored to."""

    data_dir: Path
    settings: dict[str, str]

    def backup(self, *arguments):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
        given = {"data_dir": str(self.data_dir), **self.settings}
        env = clean | {f"MREG_{name.upper()}": value for name, value in given.items()}
        env["PATH"] = f"{tools.postgres_bin()}:{env['PATH']}"
        command = [sys.executable, SCRIPT, *map(str, arguments)]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=110)

    @contextlib.contextmanager
    def running(self, token=""):
        server = RegistryServer(self.data_dir, self.settings)
        try:
            server.start()
            yield server, token or server.token
        finally:
            server.kill()


@contextlib.contextmanager
def places_of(kind, environment, directory):
    """Two places with nothing in them; the keys are the same, as an operator keeps them."""
    if kind == EMBEDDED:
        yield Place(directory / "first", {}), Place(directory / "second", {})
        return
    key = directory / "audit.key"
    key.write_text(new_key_pem())
    with contextlib.ExitStack() as stack:
        made = []
        for name in ("first", "second"):
            url = stack.enter_context(fresh_database(environment["MREG_TEST_POSTGRES_URL"]))
            bucket = stack.enter_context(
                fresh_bucket(
                    environment["MREG_TEST_MINIO_ENDPOINT"],
                    environment["MREG_TEST_MINIO_ACCESS_KEY"],
                    environment["MREG_TEST_MINIO_SECRET_KEY"],
                )
            )
            settings = distributed(url, bucket) if name == "first" else _unmade(url, bucket)
            made.append(Place(directory / name, settings | {"audit_key_file": str(key)}))
        yield tuple(made)


def _unmade(url, bucket):
    """As `distributed`, for a database without tables."""
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("registry_grpc.storage.sql.schema.upgrade", lambda _: None)
        return distributed(url, bucket)


@pytest.fixture(params=DEPLOYMENTS)
def places(request, service_environment, tmp_path):
    with places_of(request.param, service_environment, tmp_path) as made:
        yield made


def push(registry, directory, model, data):
    directory.mkdir(exist_ok=True)
    (directory / "weights.bin").write_bytes(data)
    return registry.push(model, directory)


def destroy(place):
    """What a fire does, as far as a test may."""
    shutil.rmtree(place.data_dir)


def test_what_was_backed_up_under_load_comes_back_whole(places, tmp_path):
    first, second = places
    backups = tmp_path / "backups"
    large = os.urandom(20 * MIB)
    with first.running() as (server, token), Registry(server.endpoint, token=token) as registry:
        pushed = push(registry, tmp_path / "large", "fraud", large)
        push(registry, tmp_path / "small", "churn", b"small")
        registry.promote(pushed.name, "staging")
        kept = registry.audit.checkpoint()
        key = registry.audit.key().verifier_key
        stop = threading.Event()

        def go_on_pushing():
            with Registry(server.endpoint, token=token) as other:
                number = 0
                while not stop.is_set():
                    number += 1
                    push(other, tmp_path / "load", "load", f"version {number}".encode())

        pusher = threading.Thread(target=go_on_pushing)
        pusher.start()
        try:
            made = first.backup("create", backups)
        finally:
            stop.set()
            pusher.join()
        assert made.returncode == 0, made.stderr
        push(registry, tmp_path / "late", "late", b"after the backup")
    destroy(first)
    restored = second.backup("restore", backups)
    assert restored.returncode == 0, restored.stderr
    with second.running(token) as (server, token), Registry(server.endpoint, token=token) as registry:
        assert registry.resolve("fraud@staging").version == pushed.name
        assert registry.get_version(pushed.name).manifest_digest == pushed.manifest_digest
        names = [model.name.rpartition("/")[2] for model in registry.list_models()]
        assert {"fraud", "churn"} <= set(names)
        assert "late" not in names
        for model in names:
            for version in registry.list_versions(model):
                if version.manifest_digest:
                    # Pulling hashes every byte.
                    registry.pull(version.name, tmp_path / "pulled" / model / str(version.number))
        found = tmp_path / "pulled/fraud" / str(pushed.number) / "weights.bin"
        assert hashlib.sha256(found.read_bytes()).digest() == hashlib.sha256(large).digest()
        check_trail(server, token, key, kept, tmp_path)
        # And it goes on from there.
        assert push(registry, tmp_path / "next", "fraud", b"next").number == pushed.number + 1


def check_trail(server, token, key, kept, directory):
    """Hold the whole trail against the checkpoint that was kept before the fire."""
    trail, public, note = (directory / name for name in ("trail.jsonl", "audit.pub", "kept.note"))
    public.write_text(key)
    note.write_text(kept.note)
    with Registry(server.endpoint, token=token) as registry, trail.open("w") as file:
        from registry_grpc.cli import audit_files

        for item in registry.audit.export(fresh_checkpoint=True):
            print(audit_files.line_of(item), file=file)
    done = mreg("audit", "verify", trail, "--key", public, "--checkpoint", note)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[1]) >= kept.size


def test_a_second_backup_copies_only_what_is_new_and_either_can_be_restored(tmp_path):
    first, second = Place(tmp_path / "first", {}), Place(tmp_path / "second", {})
    backups = tmp_path / "backups"
    with first.running() as (server, token), Registry(server.endpoint, token=token) as registry:
        push(registry, tmp_path / "one", "fraud", b"one")
        assert "1 objects, 1 of them new" in first.backup("create", backups).stdout
        push(registry, tmp_path / "two", "fraud", b"two")
        assert "2 objects, 1 of them new" in first.backup("create", backups).stdout
    oldest = min(path.parent.name for path in backups.glob("*/manifest.json"))
    done = second.backup("restore", backups, oldest)
    assert done.returncode == 0, done.stderr
    with second.running() as (server, token), Registry(server.endpoint, token=token) as registry:
        assert [version.number for version in registry.list_versions("fraud")] == [1]


def test_nothing_is_restored_over_a_registry_that_is_there(places, tmp_path):
    first, _ = places
    with first.running():
        assert first.backup("create", tmp_path / "backups").returncode == 0
    done = first.backup("restore", tmp_path / "backups")
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


def test_a_backup_is_for_its_owner_alone_and_restored_only_when_it_is_whole(tmp_path):
    first, second = Place(tmp_path / "first", {}), Place(tmp_path / "second", {})
    backups = tmp_path / "backups"
    with first.running() as (server, token), Registry(server.endpoint, token=token) as registry:
        push(registry, tmp_path / "one", "fraud", b"one")
        assert first.backup("create", backups).returncode == 0
    files = [path for path in backups.rglob("*") if path.is_file()]
    assert {"admin.token", "registry.db", "manifest.json"} <= {path.name for path in files}
    assert [path for path in files if path.stat().st_mode & 0o077] == []
    [stored] = [path for path in (backups / "objects").rglob("*") if path.is_file()]
    stored.write_bytes(b"eno")
    assert_refused(second.backup("verify", backups), "altered")
    stored.unlink()
    assert_refused(second.backup("restore", backups), "missing")
    assert not second.data_dir.exists()
    stored.write_bytes(b"one")
    assert second.backup("restore", backups).returncode == 0


def assert_refused(done, why):
    assert done.returncode == 7
    assert f"is {why}" in done.stderr


def test_bytes_that_rot_in_the_store_are_not_taken_for_a_backup(tmp_path):
    place = Place(tmp_path / "data", {})
    with place.running() as (server, token), Registry(server.endpoint, token=token) as registry:
        push(registry, tmp_path / "one", "fraud", b"one")
        files = [path for path in (place.data_dir / "artifacts/objects").rglob("*") if path.is_file()]
        [stored] = [path for path in files if path.read_bytes() == b"one"]
        stored.chmod(0o600)
        stored.write_bytes(b"eno")
        assert_refused(place.backup("create", tmp_path / "backups"), "altered")
    assert list((tmp_path / "backups").glob("*/manifest.json")) == []
