"""A purge beside whoever takes the same bytes up again: no file ever lies in bytes that nobody holds. P14."""

import uuid
from dataclasses import replace

import pytest

from registry_grpc.domain.artifacts import BlobState
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.names import ModelName, ProjectName
from registry_grpc.domain.resources import VersionState
from registry_grpc.server.ids import RandomIds
from registry_grpc.usecases.attach import AttachArtifacts, Attachment, put_files
from registry_grpc.usecases.copying import CopyVersion
from registry_grpc.usecases.deletion import DeleteVersion
from registry_grpc.usecases.holders import PointerHolders
from registry_grpc.usecases.models import CreateModel
from registry_grpc.usecases.projects import CreateProject
from registry_grpc.usecases.purge import Purger, PurgeVersion
from registry_grpc.usecases.quotas import RepairUsage
from registry_grpc.usecases.versions import CreateVersion
from tests.contract.store.builders import at_once, blob
from tests.promises.tenants.stores import DAY, NoDrift, call, store

__all__ = ["store"]
ROUNDS = 25


def draft(store, model):
    return CreateVersion(store, RandomIds(), DAY)(call(), model, {}).get()


def holding(store, model, held):
    """A READY version with one file in `held`, which is there already or is added."""
    made = draft(store, model)

    def work(unit):
        model_row = unit.models.lock(made.name.parent)
        known = unit.blobs.claim(held.project, held.digest)
        revision = unit.advance("tests")
        if known is None:
            unit.blobs.insert(held)
        put_files(unit, unit.versions.get(made.name), [("w", known or held, "")], revision, DAY, ())
        filled = unit.versions.get(made.name)
        ready = replace(filled, state=VersionState.READY, manifest_digest="d" * 64, expire_time=None)
        unit.versions.update(ready)
        assert model_row.uid == ready.model_uid
        return ready

    return store.write(work).get()


def sound(store):
    """Every file lies in LIVE bytes, and the row of usage says what there is."""

    def work(reader):
        rows = reader.session.connection.exec_driver_sql(
            "SELECT blob.state FROM artifact LEFT JOIN blob ON blob.uid = artifact.blob_uid"
        ).all()
        return {row[0] for row in rows}

    assert store.read(work) <= {BlobState.LIVE.value}
    assert RepairUsage(store, NoDrift())() == 0


@pytest.mark.promise("P14", "purge race")
def test_bytes_that_are_attached_while_their_version_is_purged_stay(store):
    model, other = ModelName("default", "a"), ModelName("default", "b")
    for name in (model, other):
        CreateModel(store, RandomIds())(call(), name, {})
    purge = PurgeVersion(store, Purger(store))
    attach = AttachArtifacts(store, 10, DAY)
    delete = DeleteVersion(store, (PointerHolders(),), DAY)
    ends = set()
    for number in range(ROUNDS):
        held = replace(blob(), digest=Digest(f"{number:064x}", 3))
        version, wanting = holding(store, model, held), draft(store, other)
        # The rows of usage are told what the test put in beside the use cases.
        store.write(lambda unit: unit.usage.put("default", unit.usage.count("default")))
        delete(call(), version.name, "")

        def race(which, version=version, wanting=wanting, held=held):
            if which:
                return purge(call(), version.name, "").get()
            return attach(call(), wanting.name, [Attachment("w", held.digest)]).get()

        attached, purged = at_once(2, race)
        assert purged is None
        assert not isinstance(attached, Exception)
        uid = held.uid
        found = store.read(lambda reader, uid=uid: reader.blobs.get(uid))
        assert found.state is BlobState.LIVE
        ends.add(store.read(lambda reader, uid=uid: len(reader.artifacts.of_blob(uid, 9))))
        sound(store)
    assert ends == {1}


@pytest.mark.promise("P14", "purge race")
def test_a_copy_beside_a_purge_of_its_source_is_whole_or_is_not(store):
    model, target = ModelName("default", "a"), ModelName("prod", "b")
    CreateProject(store, RandomIds())(call(), ProjectName("prod"), {})
    for name in (model, target):
        CreateModel(store, RandomIds())(call(), name, {})
    purge = PurgeVersion(store, Purger(store))
    delete = DeleteVersion(store, (PointerHolders(),), DAY)
    copy = CopyVersion(store, RandomIds(), 10)
    for number in range(ROUNDS):
        held = replace(blob(), digest=Digest(f"{number:064x}", 3), key=str(uuid.uuid4()))
        version = holding(store, model, held)
        store.write(lambda unit: unit.usage.put("default", unit.usage.count("default")))

        def race(which, version=version):
            if which:
                delete(call(), version.name, "")
                return purge(call(), version.name, "").get()
            return copy(call(), target, version.name, "").get()

        copied, purged = at_once(2, race)
        assert purged is None
        keys = store.read(
            lambda reader, key=held.key: reader.session.connection.exec_driver_sql(
                f"SELECT project, state FROM blob WHERE key = '{key}' ORDER BY project"  # noqa: S608
            ).all()
        )
        if isinstance(copied, RegistryError):
            assert copied.reason == "VERSION_NOT_FOUND"
            assert [tuple(row) for row in keys] == [("default", "condemned")]
        else:
            assert copied.file_count == 1
            assert [tuple(row) for row in keys] == [("default", "condemned"), ("prod", "live")]
        sound(store)
