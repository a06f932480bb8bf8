"""Pushing a version: hash, find or make the draft, send only what the registry does not hold, freeze.

Running the same push again resumes it, or returns what it made: a push is known by its key, the digest of its files and
metadata, which stands in an annotation of the version.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict

from registry_grpc.client import tree
from registry_grpc.client.errors import AlreadyExists, InvalidArgument, NotFound
from registry_grpc.client.manifest import manifest_digest
from registry_grpc.client.metadata import provenance
from registry_grpc.client.progress import Phase, Progress
from registry_grpc.client.upload import FileUpload
from registry_grpc.client.version_fields import VersionFields, version_message
from registry_grpc.v1 import artifacts_pb2, common_pb2, versions_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry_grpc.client.connection import Connection
    from registry_grpc.client.progress import Report
    from registry_grpc.client.registry import Registry
    from registry_grpc.client.requirements import Requirements
    from registry_grpc.client.tree import HashedFile, LocalFile

PUSH_KEY = "mreg.dev/push-key"
NEWEST_SEARCHED = 100
PROVENANCE_PARTS = frozenset({"training_run", "code", "training_data", "preprocessing", "parents"})


class PushFields(VersionFields, total=False):
    """Metadata of a push: that of a version, and the parts of its provenance by name."""

    training_run: Mapping[str, Any]
    code: Mapping[str, Any]
    training_data: Iterable[Mapping[str, Any]]
    preprocessing: Iterable[Mapping[str, Any]]
    parents: Iterable[Mapping[str, Any]]


def push_message(fields: Mapping[str, Any], captured: Requirements | None = None) -> versions_pb2.ModelVersion:
    """The metadata of a push as a message, with the packages of a file that was captured.

    Raises: InvalidArgument.
    """
    parts = {name: value for name, value in fields.items() if name in PROVENANCE_PARTS and value is not None}
    made = version_message({name: value for name, value in fields.items() if name not in PROVENANCE_PARTS})
    if parts and fields.get("provenance") is not None:
        raise InvalidArgument(f"give provenance, or its parts ({', '.join(sorted(parts))}), not both")
    if parts:
        made.provenance.CopyFrom(provenance(parts))
    if captured is not None:
        given = {each.SerializeToString(deterministic=True) for each in made.dependencies}
        made.dependencies.extend(
            each for each in captured.dependencies if each.SerializeToString(deterministic=True) not in given
        )
    if PUSH_KEY in made.annotations:
        raise InvalidArgument(f"the annotation {PUSH_KEY} is written by push; leave it out")
    return made


def push_key(digest: str, metadata: versions_pb2.ModelVersion) -> str:
    """Key of a push: hex SHA-256 over the manifest digest and the metadata, whatever the order it was given in."""
    canonical = json.dumps(MessageToDict(metadata), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{digest}\n{canonical}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One push of `paths` to `model`."""

    registry: Registry
    connection: Connection
    model: str
    metadata: versions_pb2.ModelVersion
    create_model: bool
    finalize: bool
    force_new: bool
    parallel: int
    report: Report
    stop: threading.Event
    requirements: Requirements | None = None

    def run(self, paths: str | Path | Iterable[str | Path]) -> versions_pb2.ModelVersion:
        """The version: READY, or DRAFT without `finalize`. Raises: RegistryError."""
        if self.requirements is None:
            return self._run(tree.collect(paths))
        with tempfile.TemporaryDirectory(prefix="mreg-") as directory:
            # What was read, and not what the file is by now.
            kept = Path(directory, "requirements")
            kept.write_bytes(self.requirements.content)
            return self._run(tree.collect(paths, {self.requirements.path: kept}))

    def _run(self, found: list[LocalFile]) -> versions_pb2.ModelVersion:
        files = tree.hash_files(found, self.parallel, self.stop, self.report)
        digest = manifest_digest(file.digest for file in files)
        self.metadata.annotations[PUSH_KEY] = push_key(digest, self.metadata)
        version = self._find() or self._create()
        if version.state != versions_pb2.VERSION_STATE_DRAFT:
            return version
        self._fill(version.name, files)
        for file in files:
            # Also those that were not read again because the registry held what they were.
            tree.require_unchanged(file.local, file.local.source.stat())
        if not self.finalize:
            return self.registry.get_version(version.name)
        return self.registry.finalize_version(version.name, manifest_digest=digest)

    def _find(self) -> versions_pb2.ModelVersion | None:
        """The version an equal push made or began."""
        searches: list[Iterable[versions_pb2.ModelVersion]] = []
        if not self.force_new:
            ready = self.registry.list_versions(self.model, states=["ready"], page_size=NEWEST_SEARCHED)
            searches.append(islice(ready, NEWEST_SEARCHED))
        # A draft is resumed also with force_new: it is no version yet, and its bytes are already there.
        searches.append(self.registry.list_versions(self.model, states=["draft"], page_size=NEWEST_SEARCHED))
        key = self.metadata.annotations[PUSH_KEY]
        try:
            return next(
                (found for search in searches for found in search if found.annotations.get(PUSH_KEY) == key), None
            )
        except NotFound as error:
            if error.reason != "MODEL_NOT_FOUND" or not self.create_model:
                raise
        try:
            self.registry.create_model(self.model)
        except AlreadyExists as error:
            # Another push was first, unless the model is there but deleted.
            if error.metadata.get("softDeleted"):
                raise
        return None

    def _create(self) -> versions_pb2.ModelVersion:
        request = versions_pb2.CreateVersionRequest(parent=self.registry.model_name(self.model), version=self.metadata)
        return self.connection.write(self.connection.stubs.models.CreateVersion, request)

    def _fill(self, version: str, files: list[HashedFile]) -> None:
        present = {file.path: file.digest.sha256 for file in self.registry.list_artifacts(version)}
        wanted = [file for file in files if present.get(file.digest.path) != file.digest.sha256]
        held = self._held(wanted)
        to_send: dict[str, HashedFile] = {}
        twins: list[HashedFile] = []
        for file in wanted:
            if file.digest.sha256 in to_send:
                twins.append(file)
            elif file.digest.sha256 not in held:
                to_send[file.digest.sha256] = file
        # First what is held: it is kept for an hour only, and sending may take longer.
        self._attach(version, [file for file in wanted if file.digest.sha256 in held])
        sent = list(to_send.values())
        self._send(version, sent, self._open_uploads(version, sent))
        self._attach(version, twins)

    def _held(self, files: list[HashedFile]) -> set[str]:
        """SHA-256 of the bytes the project holds."""
        digests = {file.digest.sha256: file.digest.size_bytes for file in files}
        asked = [common_pb2.Digest(sha256=sha256, size_bytes=size) for sha256, size in digests.items()]
        project = self.registry.reference(self.model).project
        missing = {digest.sha256 for digest in self.registry.find_missing(asked, project)} if asked else set()
        return set(digests) - missing

    def _open_uploads(self, version: str, files: list[HashedFile]) -> dict[str, artifacts_pb2.Upload]:
        """Uploads of an earlier run to go on with, by path; those that cannot be used are cancelled."""
        digests = {file.digest.path: file.digest for file in files}
        usable: dict[str, artifacts_pb2.Upload] = {}
        for upload in self.registry.list_uploads(version, states=["active", "finalizing"]):
            digest = digests.get(upload.path)
            fits = digest and (upload.sha256, upload.size_bytes) == (digest.sha256, digest.size_bytes)
            best = usable.get(upload.path)
            loser = upload
            if fits and (best is None or upload.persisted_size > best.persisted_size):
                usable[upload.path] = upload
                if best is None:
                    continue
                loser = best
            if loser.state == artifacts_pb2.Upload.State.STATE_ACTIVE:
                self.registry.cancel_upload(loser.name)
        return usable

    def _send(self, version: str, files: list[HashedFile], uploads: dict[str, artifacts_pb2.Upload]) -> None:
        with ThreadPoolExecutor(self.parallel, "mreg-upload") as pool:
            sent = [
                pool.submit(
                    FileUpload(self.connection, version, file, self.stop, self.report).run,
                    uploads.get(file.digest.path),
                )
                for file in files
            ]
            try:
                for future in as_completed(sent):
                    future.result()
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _attach(self, version: str, files: list[HashedFile]) -> None:
        attachments = [
            artifacts_pb2.ArtifactAttachment(
                path=file.digest.path,
                digest=common_pb2.Digest(sha256=file.digest.sha256, size_bytes=file.digest.size_bytes),
            )
            for file in files
        ]
        if attachments:
            self.registry.attach(version, attachments)
        for file in files:
            size = file.digest.size_bytes
            self.report(Progress(Phase.ATTACH, file.digest.path, size, size))
