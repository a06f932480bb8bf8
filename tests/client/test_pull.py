import multiprocessing
import os
import stat

import pytest

from registry_grpc.client import FailedPrecondition, IntegrityError, NotFound, Phase, Registry


@pytest.fixture(scope="module")
def pushed(server, tmp_path_factory):
    root = tmp_path_factory.mktemp("pushed")
    (root / "sub").mkdir()
    (root / "a.txt").write_text("hello\n")
    (root / "empty").touch()
    (root / "sub" / "w.bin").write_bytes(os.urandom(3_000_000))
    with Registry(server.endpoint, token=server.token) as registry:
        return root, registry.push("pulled", root)


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def fetched(seen):
    return {progress.path for progress in seen if progress.phase is Phase.DOWNLOAD}


@pytest.mark.parametrize("ref", ["pulled", "pulled/1", "pulled@development", "pulled@latest"])
def test_any_reference_gives_the_same_directory(registry, pushed, ref):
    root, version = pushed
    path = registry.pull(ref)
    assert path.name == version.manifest_digest.removeprefix("sha256:")
    assert contents(path) == contents(root)


def test_a_second_pull_fetches_nothing(registry, pushed):
    seen = []
    first = registry.pull("pulled", progress=seen.append)
    assert fetched(seen) == {"a.txt", "sub/w.bin"}
    seen.clear()
    assert registry.pull("pulled", progress=seen.append) == first
    assert fetched(seen) == set()


def test_the_cache_is_private_and_its_files_are_read_only(registry, pushed):
    path = registry.pull("pulled")
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / "a.txt").stat().st_mode) == 0o444


@pytest.mark.parametrize("damage", ["content", "size", "gone", "more", "link"])
def test_a_cache_somebody_changed_is_repaired(registry, pushed, damage, tmp_path):
    root, _ = pushed
    path = registry.pull("pulled")
    target = path / "a.txt"
    target.chmod(0o600)
    if damage == "content":
        target.write_text("HELLO\n")
    elif damage == "size":
        target.write_text("hello, world\n")
    elif damage == "gone":
        target.unlink()
    elif damage == "more":
        (path / "extra.py").write_text("import os")
    else:
        target.unlink()
        (tmp_path / "elsewhere").write_text("hello\n")
        target.symlink_to(tmp_path / "elsewhere")
    assert contents(registry.pull("pulled")) == contents(root)
    assert not (path / "a.txt").is_symlink()


def test_a_cut_download_goes_on_where_it_ended(registry, pushed, tmp_path):
    root, _ = pushed
    whole = (root / "sub" / "w.bin").read_bytes()
    digest = next(a.digest.sha256 for a in registry.list_artifacts("pulled/1") if a.path == "sub/w.bin")
    partial = tmp_path / "cache" / "partial"
    partial.mkdir(parents=True, mode=0o700)
    (tmp_path / "cache").chmod(0o700)
    (partial / digest).write_bytes(whole[:2_000_000])
    seen = []
    path = registry.pull("pulled", progress=seen.append)
    assert (path / "sub" / "w.bin").read_bytes() == whole
    first = next(p.done_bytes for p in seen if p.phase is Phase.DOWNLOAD and p.path == "sub/w.bin")
    assert first > 2_000_000


def test_a_damaged_partial_download_is_thrown_away(registry, pushed, tmp_path):
    root, _ = pushed
    digest = next(a.digest.sha256 for a in registry.list_artifacts("pulled/1") if a.path == "sub/w.bin")
    partial = tmp_path / "cache" / "partial"
    partial.mkdir(parents=True, mode=0o700)
    (tmp_path / "cache").chmod(0o700)
    (partial / digest).write_bytes(b"x" * 2_000_000)
    assert contents(registry.pull("pulled")) == contents(root)


def test_a_directory_of_ones_own_is_a_copy_that_appears_whole(registry, pushed, tmp_path):
    root, _ = pushed
    dest = tmp_path / "deep" / "out"
    assert registry.pull("pulled", dest) == dest
    (dest / "a.txt").write_text("mine now")
    assert contents(registry.pull("pulled")) == contents(root)


def test_a_directory_that_holds_the_version_already_is_taken_as_it_is(registry, pushed, tmp_path):
    dest = tmp_path / "out"
    registry.pull("pulled", dest)
    before = (dest / "a.txt").stat().st_ino
    assert registry.pull("pulled", dest) == dest
    assert (dest / "a.txt").stat().st_ino == before


def test_an_empty_directory_is_filled(registry, pushed, tmp_path):
    root, _ = pushed
    (tmp_path / "out").mkdir()
    assert contents(registry.pull("pulled", tmp_path / "out")) == contents(root)


def test_files_of_others_are_never_touched(registry, pushed, tmp_path):
    dest = tmp_path / "home"
    dest.mkdir()
    (dest / "thesis.tex").write_text("precious")
    with pytest.raises(FailedPrecondition, match="not empty"):
        registry.pull("pulled", dest)
    assert contents(dest) == {"thesis.tex": b"precious"}


def test_a_link_is_no_destination(registry, pushed, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(FailedPrecondition):
        registry.pull("pulled", tmp_path / "link")


def test_a_cache_others_may_write_to_is_refused(registry, pushed, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    with pytest.raises(FailedPrecondition, match="chmod 700"):
        registry.pull("pulled")


def test_a_pinned_digest_that_is_not_the_versions_is_refused(registry, pushed):
    with pytest.raises(IntegrityError, match="pins another"):
        registry.pull(f"pulled/1@sha256:{'0' * 64}")
    with pytest.raises(NotFound):
        registry.pull(f"pulled@sha256:{'0' * 64}")


def test_a_stream_of_one_file_is_checked(registry, pushed):
    root, _ = pushed
    with registry.open_artifact("pulled", "sub/w.bin") as stream:
        assert stream.read(10) == (root / "sub" / "w.bin").read_bytes()[:10]
        assert stream.read() == (root / "sub" / "w.bin").read_bytes()[10:]
    with pytest.raises(NotFound, match=r"no file 'b\.txt'"):
        registry.open_artifact("pulled", "b.txt")


def _pull(endpoint, token, cache, results):
    with Registry(endpoint, token=token, cache_dir=cache) as registry:
        seen = []
        path = registry.pull("pulled", progress=seen.append)
        results.put((str(path), len(fetched(seen))))


def test_processes_that_pull_at_once_share_one_download(server, pushed, tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    cache = tmp_path / "shared"
    pulls = [context.Process(target=_pull, args=(server.endpoint, server.token, cache, results)) for _ in range(3)]
    for process in pulls:
        process.start()
    answers = [results.get(timeout=60) for _ in pulls]
    for process in pulls:
        process.join()
    assert len({path for path, _ in answers}) == 1
    assert sorted(count for _, count in answers) == [0, 0, 2]
