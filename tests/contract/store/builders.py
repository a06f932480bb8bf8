"""Resources and changes for the store's tests: each says only what the test is about."""

import itertools
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from registry_grpc.domain.artifacts import Artifact, Blob, Upload, UploadState
from registry_grpc.domain.calls import Call, Principal
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.events import Action
from registry_grpc.domain.names import ModelName, ProjectName, UploadName
from registry_grpc.domain.pointers import Assignment, Pointer, PointerKind, StageAction, Target
from registry_grpc.domain.resources import Model, Project, Version, VersionState

ADA = Principal("user:ada")
TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SECOND = timedelta(seconds=1)
_numbers = itertools.count(1)


def call(request_id="", **values):
    given = {"principal": ADA, "method": "Tests.Change", "body_hash": b"body"}
    return Call(**(given | values), request_id=request_id)


def project(project_id="default", **values):
    times = {"create_time": TIME, "update_time": TIME}
    return Project(uid=str(uuid.uuid4()), name=ProjectName(project_id), **(times | values))


def model(model_id="m", project_id="default", **values):
    times = {"create_time": TIME, "update_time": TIME}
    return Model(uid=str(uuid.uuid4()), name=ModelName(project_id, model_id), **(times | values))


def version(of, number, **values):
    times = {"create_time": TIME, "update_time": TIME}
    return Version(uid=str(uuid.uuid4()), model_uid=of.uid, name=of.name.version(number), **(times | values))


def target(of):
    return Target(
        name=of.name,
        uid=of.uid,
        manifest_digest=of.manifest_digest,
        file_count=of.file_count,
        total_size_bytes=of.total_size_bytes,
        stage=of.stage,
        yanked=of.state is VersionState.YANKED,
    )


def pointer(of, kind, pointer_id, to=None, **values):
    return Pointer(
        model=of.name, model_uid=of.uid, kind=kind, id=pointer_id, target=target(to) if to else None, **values
    )


def alias(of, pointer_id, to, **values):
    return pointer(of, PointerKind.ALIAS, pointer_id, to, **values)


def assignment(of, stage, **values):
    given = {
        "from_stage": "",
        "manifest_digest": "",
        "previous_number": 0,
        "action": StageAction.PROMOTED,
        "actor": "user:ada",
        "justification": "",
        "request_id": "",
        "index": 0,
        "assign_time": TIME,
    }
    return Assignment(model_uid=of.model_uid, version=of.name, version_uid=of.uid, stage=stage, **(given | values))


def blob(content="a", **values):
    given = {"project": "default", "key": f"key{next(_numbers)}", "block_digests": b"", "create_time": TIME}
    return Blob(uid=str(uuid.uuid4()), digest=Digest(content * 64, 3), **(given | values))


def artifact(of, path, held, **values):
    given = {"media_type": "", "create_time": TIME, "revision": 1}
    return Artifact(
        version=of.name, version_uid=of.uid, path=path, blob_uid=held.uid, digest=held.digest, **(given | values)
    )


def upload(of, **values):
    given = {
        "path": "weights.bin",
        "size_bytes": 10,
        "sha256": "",
        "media_type": "",
        "state": UploadState.ACTIVE,
        "epoch": 1,
        "key": "k",
        "store_upload": "",
        "part_bytes": 16,
        "persisted_size": 0,
        "creator": "user:ada",
        "create_time": TIME,
        "expire_time": TIME,
    }
    name = UploadName("default", str(uuid.uuid4()))
    return Upload(name=name, version=of.name, version_uid=of.uid, **(given | values))


def change(store, work, given=None):
    """Run `work(unit, revision)` after `advance`; returns what it made."""
    return store.write(lambda unit: work(unit, unit.advance("tests")), given).get()


def add_model(store, model_id="m", **values):
    def work(unit, revision):
        made = model(model_id, revision=revision, **values)
        unit.models.insert(made)
        unit.record(Action.CREATED, made)
        return made

    return change(store, work)


def add_version(store, of, **values):
    def work(unit):
        numbered = unit.models.number_version(of.name)
        made = version(of, numbered.number, revision=unit.advance("tests"), **values)
        unit.versions.insert(made)
        unit.record(Action.CREATED, made)
        return made

    return store.write(work).get()


def move(store, of, stage, time=TIME, **values):
    """The version in another stage, with its row of history."""

    def work(unit, revision):
        moved = replace(of, stage=stage, revision=revision)
        unit.versions.update(moved)
        unit.history.append(assignment(of, stage, revision=revision, assign_time=time, **values))
        return moved

    return change(store, work)


def put(store, *pointers):
    def work(unit, revision):
        for one in pointers:
            unit.pointers.put(replace(one, revision=revision))

    change(store, work)


def all_events(store):
    return store.read(lambda reader: list(reader.feed.after(0, 100_000)))


def at_once(count, work):
    """Call `work(number)` from that many threads that start together; returns results or exceptions in order."""
    barrier = threading.Barrier(count)

    def run(number):
        barrier.wait()
        try:
            return work(number)
        except Exception as error:  # noqa: BLE001 -- the test looks at it
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
