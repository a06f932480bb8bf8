"""The audit trail: who did what, exports of it, and proofs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import grpc

from registry_grpc.client.connection import Pages
from registry_grpc.client.errors import RegistryError
from registry_grpc.client.metadata import timestamp
from registry_grpc.client.session import Session
from registry_grpc.client.status import error_from_rpc
from registry_grpc.v1 import audit_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

EXPORT_TIMEOUT_S = 3600.0


class AuditCalls(Session):
    """The audit trail. Every method raises RegistryError."""

    def list(
        self,
        scope: str | None = None,
        *,
        actor: str = "",
        resource: str = "",
        method: str = "",
        outcome: str = "",
        request_id: str = "",
        from_time: datetime | None = None,
        to_time: datetime | None = None,
        page_size: int = 0,
    ) -> Iterable[audit_pb2.AuditEntry]:
        """Entries of the project, or of the registry (`scope=""`), the newest first; fetched page by page.

        `outcome` is `applied`, a reason, or `refused` for every reason.

        Raises: InvalidArgument for a time without a time zone.
        """
        wanted = audit_pb2.ListAuditEntriesRequest(
            parent=self.project_name() if scope is None else scope,
            actor=actor,
            resource=resource,
            method=method,
            outcome=outcome,
            of_request_id=request_id,
            page_size=page_size,
        )
        if from_time is not None:
            wanted.from_time.CopyFrom(timestamp(from_time, "from_time"))
        if to_time is not None:
            wanted.to_time.CopyFrom(timestamp(to_time, "to_time"))

        def fetch(token: str) -> audit_pb2.ListAuditEntriesResponse:
            request = audit_pb2.ListAuditEntriesRequest()
            request.CopyFrom(wanted)
            request.page_token = token
            return self._connection.read(self._connection.stubs.audit.ListAuditEntries, request)

        return Pages[audit_pb2.AuditEntry](fetch, "entries")

    def export(
        self, *, first_index: int = 0, fresh_checkpoint: bool = False
    ) -> Iterator[audit_pb2.AuditEntry | audit_pb2.Checkpoint]:
        """Every entry with its leaf, the oldest first, and at the end the checkpoint over them, where there is one."""
        request = audit_pb2.ExportAuditEntriesRequest(first_index=first_index, fresh_checkpoint=fresh_checkpoint)
        while True:
            wished = self._connection.written_revision
            try:
                yield from self._exported(request)
            except RegistryError as error:
                # Refused before the first entry.
                if not self._connection.forgets(error, wished):
                    raise
            else:
                return

    def _exported(
        self, request: audit_pb2.ExportAuditEntriesRequest
    ) -> Iterator[audit_pb2.AuditEntry | audit_pb2.Checkpoint]:
        call_id = str(uuid.uuid4())
        call = self._connection.stubs.audit.ExportAuditEntries(
            request,
            timeout=EXPORT_TIMEOUT_S,
            metadata=tuple(self._connection.metadata(read=True, call_id=call_id)),
        )
        try:
            for answer in call:
                yield from answer.entries
                if answer.HasField("checkpoint"):
                    yield answer.checkpoint
        except grpc.RpcError as error:
            raise error_from_rpc(error, call_id) from error
        finally:
            call.cancel()

    def checkpoint(self, max_size: int = 0) -> audit_pb2.Checkpoint:
        """The newest signed head, or the newest of at most `max_size`."""
        request = audit_pb2.GetCheckpointRequest(max_size=max_size)
        return self._connection.read(self._connection.stubs.audit.GetCheckpoint, request)

    def checkpoints(self, *, page_size: int = 0) -> Iterable[audit_pb2.Checkpoint]:
        """Signed heads, the newest first; fetched page by page."""

        def fetch(token: str) -> audit_pb2.ListCheckpointsResponse:
            request = audit_pb2.ListCheckpointsRequest(page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.audit.ListCheckpoints, request)

        return Pages[audit_pb2.Checkpoint](fetch, "checkpoints")

    def prove(self, index: int, *, tree_size: int = 0) -> audit_pb2.GetInclusionProofResponse:
        """That an entry is in the tree of a size, 0 for that of the newest checkpoint."""
        request = audit_pb2.GetInclusionProofRequest(index=index, tree_size=tree_size)
        return self._connection.read(self._connection.stubs.audit.GetInclusionProof, request)

    def prove_consistency(self, first_size: int, second_size: int = 0) -> audit_pb2.GetConsistencyProofResponse:
        """That the tree of one size begins with that of a smaller one."""
        request = audit_pb2.GetConsistencyProofRequest(first_size=first_size, second_size=second_size)
        return self._connection.read(self._connection.stubs.audit.GetConsistencyProof, request)

    def key(self) -> audit_pb2.GetAuditKeyResponse:
        """The public key of checkpoints; compare it with what you were given by hand."""
        return self._connection.read(self._connection.stubs.audit.GetAuditKey, audit_pb2.GetAuditKeyRequest())
