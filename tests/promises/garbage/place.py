"""The use cases over a real store and a real place for bytes, whose clocks a test moves together."""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from registry_grpc.domain.artifacts import UploadState
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.garbage import MARKER_KEY, Tally
from registry_grpc.domain.names import ModelName, ProjectName
from registry_grpc.ports.artifacts import Listing
from registry_grpc.server.ids import RandomIds
from registry_grpc.storage.artifacts.faults import unavailable
from registry_grpc.storage.artifacts.hashing import PartHasher
from registry_grpc.storage.sql import SqlStore
from registry_grpc.usecases.attach import AttachArtifacts, Attachment, FindMissingArtifacts
from registry_grpc.usecases.copying import CopyVersion
from registry_grpc.usecases.deletion import DeleteVersion, UndeleteVersion
from registry_grpc.usecases.finalize import FinalizeVersion
from registry_grpc.usecases.garbage import CollectGarbage
from registry_grpc.usecases.holders import PointerHolders
from registry_grpc.usecases.models import CreateModel
from registry_grpc.usecases.orphans import SweepOrphans
from registry_grpc.usecases.projects import CreateProject
from registry_grpc.usecases.purge import Purger, PurgeVersion
from registry_grpc.usecases.quotas import RepairUsage
from registry_grpc.usecases.store_mark import StoreMark
from registry_grpc.usecases.sweeps import ExpireUploads
from registry_grpc.usecases.upload_writer import UploadWriter
from registry_grpc.usecases.uploaders import Uploader
from registry_grpc.usecases.uploads import StartUpload, UploadRequest
from registry_grpc.usecases.versions import CreateVersion
from tests.promises.tenants.stores import NoDrift, call

DAY = timedelta(days=1)
GRACE = 7 * DAY
UPLOADS = 2 * DAY
MINE = Uploader("user:ada", lambda _: None, lambda _: True)
MODEL, ELSEWHERE = ModelName("default", "m"), ModelName("other", "m")


class MovedClock:
    """A place for bytes whose clock is moved too, and which may refuse to delete."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside
        self.offset = timedelta(0)
        self.deletes_until_down: int | None = None
        self._born: dict[str, timedelta] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inside, name)

    def put(self, key, chunks, size_bytes, metadata):
        self._born.setdefault(key, self.offset)
        self.inside.put(key, chunks, size_bytes, metadata)

    def delete(self, key):
        if self.deletes_until_down is not None:
            if not self.deletes_until_down:
                raise unavailable("it was taken down by a test")
            self.deletes_until_down -= 1
        self.inside.delete(key)

    def list_objects(self, after, limit):
        page = self.inside.list_objects(after, limit)
        return Listing([self._aged(each) for each in page.found], page.after)

    def _aged(self, each):
        return replace(each, age=each.age + self.offset - self._born.get(each.key, timedelta(0)))


class Told:
    """What the observer of the collector was told."""

    def __init__(self) -> None:
        self.gone: dict[str, Tally] = {}
        self.is_frozen = False

    def collected(self, kind, tally):
        self.gone[kind] = self.gone.get(kind, Tally()) + tally

    def frozen(self, *, is_frozen):
        self.is_frozen = is_frozen


@dataclass
class Place:
    """A registry without a server."""

    store: SqlStore
    artifacts: MovedClock
    told: Told = field(default_factory=Told)

    def __post_init__(self) -> None:
        store, ids, bytes_ = self.store, RandomIds(), self.artifacts
        self.mark = StoreMark(store, bytes_)
        self.collect = self.collector()
        self.create = CreateVersion(store, ids, DAY)
        self.start = StartUpload(store, ids, 100, DAY, UPLOADS, 1000)
        self.writer = UploadWriter(store, bytes_, ids, PartHasher, 100, DAY, UPLOADS)
        self.attach = AttachArtifacts(store, 100, DAY)
        self.missing = FindMissingArtifacts(store, timedelta(hours=2))
        self.finalize = FinalizeVersion(store, bytes_, 100)
        self.delete = DeleteVersion(store, (PointerHolders(),), 30 * DAY)
        self.undelete = UndeleteVersion(store, DAY)
        self.purge = PurgeVersion(store, Purger(store))
        self.copy = CopyVersion(store, ids, 100)
        self.expire = ExpireUploads(store, bytes_, self.mark)

    def collector(self) -> CollectGarbage:
        """As another process makes one: it remembers nothing."""
        orphans = SweepOrphans(self.store, self.artifacts, GRACE)
        return CollectGarbage(self.store, self.artifacts, self.mark, orphans, self.told, GRACE)

    def set_up(self) -> None:
        CreateProject(self.store, RandomIds())(call(), ProjectName("other"), {})
        for name in (MODEL, ELSEWHERE):
            CreateModel(self.store, RandomIds())(call(), name, {})

    def move(self, time: timedelta) -> None:
        """Let time pass, for the database and for the store."""
        self.store.clock_offset += time
        self.artifacts.offset += time

    def draft(self):
        return self.create(call(), MODEL, {}).get().name

    def begin(self, version, content, *, declared, path="w"):
        sha256 = hashlib.sha256(content).hexdigest() if declared else ""
        return self.start(
            call(), UploadRequest(version=version, path=path, size_bytes=len(content), sha256=sha256)
        ).get()

    def upload(self, version, content, *, declared=False, path="w"):
        upload = self.begin(version, content, declared=declared, path=path)
        if upload.state is UploadState.COMMITTED:
            return upload
        session = self.writer.open(upload.name, MINE)
        return session.finish(call(), digest_of(content), [content], [None])

    def attach_to(self, version, content, path="w"):
        return self.attach(call(), version, [Attachment(path, digest_of(content))]).get()

    def ready(self, content):
        version = self.draft()
        self.upload(version, content)
        self.finalize(call(), version, "", "")
        return version

    def orphan(self, content=b"orphan"):
        key = RandomIds().object_key()
        self.artifacts.put(key, [content], len(content), {"upload": "none"})
        return key

    def stored(self) -> set[str]:
        """What lies in the store, without the mark."""
        found, after = set(), ""
        while True:
            page = self.artifacts.list_objects(after, 1000)
            found |= {each.key for each in page.found}
            after = page.after
            if not after:
                return found - {MARKER_KEY}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.store.read(
            lambda reader: [tuple(row) for row in reader.session.connection.exec_driver_sql(query).all()]
        )

    def states(self) -> list[str]:
        return sorted(state for (state,) in self.rows("SELECT state FROM blob"))

    def needed(self) -> set[str]:
        """Keys of what a file lies in."""
        return {key for (key,) in self.rows("SELECT key FROM blob JOIN artifact ON artifact.blob_uid = blob.uid")}

    def check(self) -> None:
        """Every file is readable and hashes right, and usage is what there is."""
        columns = "artifact.sha256, blob.key, blob.state, blob.size_bytes"
        query = f"SELECT {columns} FROM artifact JOIN blob ON blob.uid = artifact.blob_uid"  # noqa: S608
        for sha256, key, state, size_bytes in self.rows(query):
            assert state == "live"
            content = b"".join(self.artifacts.read(key, 0, size_bytes + 1))
            assert hashlib.sha256(content).hexdigest() == sha256
        assert RepairUsage(self.store, NoDrift())() == 0


def digest_of(content: bytes) -> Digest:
    return Digest(hashlib.sha256(content).hexdigest(), len(content))


def new_content(size: int = 100) -> bytes:
    return secrets.token_bytes(size)


def reason_of(work) -> Reason | None:
    """Why it was refused; None when it was not."""
    try:
        work()
    except RegistryError as error:
        return error.reason
    return None
