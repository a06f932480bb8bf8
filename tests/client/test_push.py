import os

import pytest

from registry_grpc.client import AlreadyExists, Conflict, IntegrityError, InvalidArgument, NotFound, Phase, Registry
from registry_grpc.client.push import PUSH_KEY
from registry_grpc.v1 import artifacts_pb2, versions_pb2


class Seen(list):
    """The progress of a transfer."""

    def paths(self, phase):
        return {progress.path for progress in self if progress.phase is phase}


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_is_pushed_comes_back_the_same(registry, tree, tmp_path):
    version = registry.push("round-trip", tree)
    assert version.state == versions_pb2.VERSION_STATE_READY
    assert version.file_count == 4
    assert contents(registry.pull("round-trip/1", tmp_path / "out")) == contents(tree)


def test_metadata_of_a_push_arrives_typed(registry, tree):
    version = registry.push(
        "typed",
        tree,
        version_label="1.2.0",
        framework="scikit-learn==1.5.2",
        algorithm="gradient boosting",
        task="binary-classification",
        domain="fraud",
        metrics=[{"name": "auc", "value": 0.93, "dataset": "eval", "slice": "country=DE", "direction": "maximise"}],
        parameters={"depth": 3, "rate": 0.1, "warm": True, "loss": "log"},
        dependencies=["NumPy==2.1.0 ; sys_platform == 'linux'", "scikit_learn>=1.5"],
        training_run={"id": "run-1", "start_time": "2026-01-02T03:04:05Z"},
        code={"repository": "https://git.example.com/fraud", "revision": "abc", "dirty": True},
        training_data=[{"name": "cards", "version": "7", "role": "train"}],
        signature={
            "inputs": [{"name": "x", "data_type": "float32", "shape": [-1, 20]}],
            "outputs": [{"name": "y", "data_type": "float64"}],
        },
        tags={"team": "risk"},
        annotations={"ci": "42"},
        description="It finds fraud.",
        owner="risk@example.com",
        model_card="# Fraud",
    )
    again = registry.get_version("typed/1")
    assert again == version
    assert (again.framework.name, again.framework.version) == ("scikit-learn", "1.5.2")
    assert again.parameters["depth"].int64_value == 3
    assert again.parameters["warm"].bool_value is True
    assert [(need.name, need.version) for need in again.dependencies] == [("numpy", "2.1.0"), ("scikit-learn", ">=1.5")]
    assert again.provenance.training_run.start_time.ToJsonString() == "2026-01-02T03:04:05Z"
    assert again.provenance.code.dirty
    assert list(again.signature.inputs[0].shape) == [-1, 20]
    assert again.metrics[0].slice == "country=DE"
    assert dict(again.annotations).keys() == {"ci", PUSH_KEY}


def test_the_same_push_again_sends_nothing_and_makes_nothing(registry, tree):
    first = registry.push("idempotent", tree, metrics={"auc": 0.9})
    seen = Seen()
    assert registry.push("idempotent", tree, metrics={"auc": 0.9}, progress=seen.append) == first
    assert not seen.paths(Phase.UPLOAD)
    assert len(list(registry.list_versions("idempotent"))) == 1


def test_another_metric_makes_another_version_without_sending_bytes(registry, tree):
    registry.push("deduped", tree, metrics={"auc": 0.9})
    seen = Seen()
    second = registry.push("deduped", tree, metrics={"auc": 0.91}, progress=seen.append)
    assert second.number == 2
    assert not seen.paths(Phase.UPLOAD)
    assert seen.paths(Phase.ATTACH) == set(contents(tree))


def test_force_new_makes_another_equal_version(registry, tree):
    first = registry.push("forced", tree)
    second = registry.push("forced", tree, force_new=True)
    assert (first.number, second.number) == (1, 2)
    assert first.manifest_digest == second.manifest_digest


def test_equal_files_of_one_push_are_sent_once(registry, tree, tmp_path):
    (tree / "weights" / "w.bin").write_bytes(os.urandom(300_000))
    (tree / "weights" / "deep" / "again.bin").write_bytes((tree / "weights" / "w.bin").read_bytes())
    seen = Seen()
    registry.push("twins", tree, progress=seen.append)
    assert len(seen.paths(Phase.UPLOAD) & {"weights/w.bin", "weights/deep/again.bin"}) == 1
    assert len(seen.paths(Phase.ATTACH) & {"weights/w.bin", "weights/deep/again.bin"}) == 1


def test_a_draft_is_left_open_and_finished_by_the_same_push(registry, tree):
    draft = registry.push("drafted", tree, finalize=False)
    assert draft.state == versions_pb2.VERSION_STATE_DRAFT
    seen = Seen()
    ready = registry.push("drafted", tree, progress=seen.append)
    assert ready.number == draft.number
    assert ready.state == versions_pb2.VERSION_STATE_READY
    assert not seen.paths(Phase.UPLOAD)


def test_a_single_file_and_several_paths(registry, tree, tmp_path):
    assert registry.push("single", tree / "config.json").file_count == 1
    assert [a.path for a in registry.list_artifacts("single/1")] == ["config.json"]
    registry.push("several", [tree / "weights", tree / "config.json"])
    paths = [a.path for a in registry.list_artifacts("several/1")]
    assert paths == ["config.json", "weights/deep/again.bin", "weights/w.bin"]


def test_an_abandoned_upload_of_other_bytes_does_not_stand_in_the_way(registry, tree):
    draft = registry.push("abandoned", tree, finalize=False)
    request = artifacts_pb2.StartUploadRequest(parent=draft.name, path="config.json", size_bytes=99)
    registry.connection.write(registry.connection.stubs.artifacts.StartUpload, request)
    assert registry.push("abandoned", tree).state == versions_pb2.VERSION_STATE_READY


def test_a_model_is_not_made_when_it_must_be_there(registry, tree):
    with pytest.raises(NotFound) as caught:
        registry.push("not-there", tree, create_model=False)
    assert caught.value.reason == "MODEL_NOT_FOUND"


def test_a_label_names_one_version(registry, tree):
    registry.push("labelled", tree, version_label="1.0.0")
    (tree / "config.json").write_text("{}")
    with pytest.raises(AlreadyExists):
        registry.push("labelled", tree, version_label="1.0.0")


def test_a_file_that_changes_while_it_is_pushed_is_noticed(registry, tree):
    def touch(progress):
        if progress.phase is Phase.UPLOAD and progress.path == "config.json":
            return
        if progress.phase is Phase.HASH and progress.path == "weights/w.bin":
            (tree / "config.json").write_text('{"layers": 3}')

    (tree / "weights" / "w.bin").write_bytes(os.urandom(500_000))
    with pytest.raises(IntegrityError, match=r"config\.json changed while it was pushed"):
        registry.push("changing", tree, progress=touch, parallel=1)


def test_bytes_that_change_behind_an_unchanged_date_are_noticed_by_the_server(registry, tree):
    target = tree / "weights" / "w.bin"
    target.write_bytes(os.urandom(500_000))
    facts = target.stat()

    def swap(progress):
        if progress.phase is Phase.HASH and progress.path == "weights/w.bin" and progress.done_bytes == 500_000:
            target.write_bytes(os.urandom(500_000))
            os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    with pytest.raises(IntegrityError, match="changed while it was pushed"):
        registry.push("swapped", tree, progress=swap)
    assert registry.push("swapped", tree).number == 2


def test_several_processes_may_push_the_same_at_once(server, registry, tree):
    with Registry(server.endpoint, token=server.token) as other:
        first = registry.push("shared", tree)
        assert other.push("shared", tree) == first


def test_unusable_arguments_are_refused_before_anything_is_sent(registry, tree):
    with pytest.raises(InvalidArgument, match="parallel"):
        registry.push("fraud", tree, parallel=0)
    with pytest.raises(InvalidArgument, match="no field 'colour'"):
        registry.push("fraud", tree, colour="red")
    with pytest.raises(InvalidArgument, match="does not exist"):
        registry.push("fraud", tree / "nowhere")
    with pytest.raises(InvalidArgument, match="is a version"):
        registry.push("fraud/7", tree)


class _EnoughError(Exception):
    pass


def cut_off(registry, model, path):
    """Push until the first chunks are on their way, and stop there."""

    def stop(progress):
        if progress.phase is Phase.UPLOAD:
            raise _EnoughError

    with pytest.raises(_EnoughError):
        registry.push(model, path, progress=stop)


def test_bytes_that_arrive_by_another_way_end_an_upload_that_was_cut(registry, tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(os.urandom(3_000_000))
    cut_off(registry, "cut-one", path)
    registry.push("cut-two", path)
    seen = Seen()
    assert registry.push("cut-one", path, progress=seen.append).number == 1
    assert seen.paths(Phase.ATTACH) == {"w.bin"}


def test_an_upload_somebody_cancels_is_started_again(registry, server, tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(os.urandom(40 << 20))
    cancelled = []

    def cancel(progress):
        if progress.phase is Phase.UPLOAD and progress.done_bytes > 20 << 20 and not cancelled:
            with Registry(server.endpoint, token=server.token) as other:
                (upload,) = other.list_uploads("cancelled/1", states=["active"])
                cancelled.append(other.cancel_upload(upload.name))

    version = registry.push("cancelled", path, progress=cancel)
    assert cancelled
    assert version.total_size_bytes == 40 << 20


def test_a_version_of_many_files_is_moved_in_pages(registry, tmp_path):
    root = tmp_path / "many"
    root.mkdir()
    for number in range(1100):
        (root / f"{number}.txt").write_text("the same")
    seen = Seen()
    version = registry.push("many", root, progress=seen.append)
    assert version.file_count == 1100
    assert len(seen.paths(Phase.UPLOAD)) <= 1
    assert len(list(registry.pull("many").iterdir())) == 1100


def test_a_push_that_is_run_again_while_it_runs_is_taken_over(registry, server, tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(os.urandom(64 << 20))
    taken = []

    def run_again(progress):
        if progress.phase is Phase.UPLOAD and progress.done_bytes > 32 << 20 and not taken:
            taken.append(None)
            with Registry(server.endpoint, token=server.token) as other:
                taken.append(other.push("taken", path))

    with pytest.raises(Conflict, match="another process pushes"):
        registry.push("taken", path, progress=run_again)
    assert registry.push("taken", path) == taken[1]
