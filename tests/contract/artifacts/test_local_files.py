"""What only a store on this machine can get wrong: modes, links, full disks, crashes between steps."""

import errno
import os
import threading

import pytest

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.ports.artifacts import MissingObjectError
from registry_grpc.storage.artifacts import local_files
from registry_grpc.storage.artifacts.local import LocalArtifactStore
from tests.contract.artifacts.conftest import send, whole

NOTE = {"upload-id": "u1"}


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "artifacts"


@pytest.fixture
def store(directory):
    return LocalArtifactStore(directory)


def test_files_are_private_whatever_the_umask(directory):
    before = os.umask(0)
    try:
        store = LocalArtifactStore(directory)
        store.put("ab/c", [b"x"], 1, NOTE)
        store.begin("ab/d", NOTE)
    finally:
        os.umask(before)
    found = [directory, *directory.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o600}


def test_nothing_is_left_beside_a_finished_object(store, directory):
    upload = store.begin("ab/c", NOTE)
    store.complete("ab/c", upload, send(store, "ab/c", upload, b"data"))
    store.put("ab/d", [b"x"], 1, NOTE)
    store.abort("ab/e", store.begin("ab/e", NOTE))
    assert not list((directory / "uploads").iterdir())
    store.delete("ab/c")
    store.delete("ab/d")
    assert not [path for path in directory.rglob("*") if path.is_file()]


def test_a_crash_between_naming_and_tidying_is_completed_by_the_next_attempt(store, directory):
    upload = store.begin("k", NOTE)
    parts = send(store, "k", upload, b"data")
    os.link(directory / "uploads" / upload, directory / "objects" / "k")
    with pytest.raises(MissingObjectError):
        store.put_part("k", upload, 1, 0, [b"EVIL"], 4)
    LocalArtifactStore(directory).complete("k", upload, parts)
    assert whole(store, "k") == b"data"
    assert not (directory / "uploads" / upload).exists()


def test_a_crash_before_naming_leaves_no_object_and_may_be_repeated(store, directory, monkeypatch):
    upload = store.begin("k", NOTE)
    parts = send(store, "k", upload, b"data")

    def crash(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", crash)
        with pytest.raises(KeyboardInterrupt):
            store.complete("k", upload, parts)
    assert store.head("k") is None
    LocalArtifactStore(directory).complete("k", upload, parts)
    assert store.head("k").metadata == NOTE


def test_a_late_part_never_reaches_a_finished_object(store):
    upload = store.begin("k", NOTE)
    parts = send(store, "k", upload, b"data")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            try:
                store.put_part("k", upload, 1, 0, [b"late"], 4)
            except MissingObjectError:
                return

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    store.complete("k", upload, parts)
    seen = whole(store, "k")
    stop.set()
    for thread in threads:
        thread.join()
    assert whole(store, "k") == seen


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_quota_and_leaves_nothing(store, directory, monkeypatch, fault):
    upload = store.begin("k", NOTE)

    def full(*_):
        raise OSError(fault, "full", "/secret/path")

    monkeypatch.setattr(os, "pwritev", full)
    for call in (
        lambda: store.put("k", [b"x"], 1, NOTE),
        lambda: store.put_part("k", upload, 1, 0, [b"x"], 1),
    ):
        with pytest.raises(RegistryError) as caught:
            call()
        assert caught.value.reason is Reason.QUOTA_EXCEEDED
        assert "storage full" in str(caught.value)
        assert "/secret" not in str(caught.value)
    assert store.head("k") is None
    assert not list((directory / "uploads").glob("*.put"))


def test_a_failing_disk_is_unavailable_and_names_no_path(store, monkeypatch):
    store.put("k", [b"x"], 1, NOTE)

    def failing(*_):
        raise OSError(errno.EIO, "broken", "/secret/path")

    monkeypatch.setattr(os, "pread", failing)
    with pytest.raises(RegistryError) as caught:
        list(store.read("k", 0, 1))
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE
    assert "/secret" not in str(caught.value)


def test_a_symbolic_link_is_never_followed(store, directory, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (directory / "objects" / "k").symlink_to(tmp_path / "secret")
    with pytest.raises(RegistryError):
        list(store.read("k", 0, 6))


def test_ping_notices_a_missing_directory_and_little_space(store, directory, tmp_path):
    store.ping()
    with pytest.raises(RegistryError, match="MiB free"):
        LocalArtifactStore(tmp_path / "b", min_free_bytes=1 << 62).ping()
    (directory / "uploads").rmdir()
    with pytest.raises(RegistryError) as caught:
        store.ping()
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE


@pytest.mark.parametrize("upload", ["", "..", "../../etc/passwd", "A" * 32, "a" * 31, "a" * 32 + "\n"])
def test_an_upload_id_is_never_a_path(store, upload):
    for call in (
        lambda: store.put_part("k", upload, 1, 0, [b"x"], 1),
        lambda: store.complete("k", upload, send_one()),
        lambda: store.abort("k", upload),
    ):
        with pytest.raises(RegistryError):
            call()


def send_one():
    from registry_grpc.domain.artifacts import UploadPart

    return [UploadPart(number=1, size_bytes=1, etag="1-0-1", block_digests=b"")]


def test_an_upload_belongs_to_its_key(store):
    upload = store.begin("k", NOTE)
    with pytest.raises(RegistryError):
        store.put_part("other", upload, 1, 0, [b"x"], 1)


def test_short_writes_are_carried_on(store, monkeypatch):
    real = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, bufs, at: real(fd, [bufs[0][:3]], at))
    store.put("k", [b"hello", b"", b"world" * 10], 55, NOTE)
    assert whole(store, "k") == b"hello" + b"world" * 10


def test_many_small_chunks_are_written(store):
    store.put("k", [b"ab"] * 5000, 10_000, NOTE)
    assert whole(store, "k") == b"ab" * 5000


def test_directories_are_synced_after_an_object_is_named(store, monkeypatch):
    synced = []
    real = local_files.sync_directory
    monkeypatch.setattr(local_files, "sync_directory", lambda path: (synced.append(path.name), real(path)))
    store.put("ab/c", [b"x"], 1, NOTE)
    assert synced[-1] == "ab"
