"""AuditService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.services.codec.audit import checkpoint_to_wire, entry_to_wire, filter_from_wire, recorded_to_wire
from registry_grpc.v1 import audit_pb2, audit_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from registry_grpc.domain.audit import StoredCheckpoint
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.usecases import audit
    from registry_grpc.usecases.audit_checkpoints import SignCheckpoint


MAX_ENTRIES = 200
"""Of one page: 16 KiB of changes in each stay below the 4 MiB that clients take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerbs:
    """The use cases of the audit trail."""

    list: audit.ListAuditEntries
    read: audit.ReadAuditEntries
    checkpoints: audit.GetCheckpoint
    prove_inclusion: audit.ProveInclusion
    prove_consistency: audit.ProveConsistency
    sign: SignCheckpoint | None
    """None without a key."""


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """The audit trail."""

    def __init__(self, edge: Edge, pages: Pages, verbs: AuditVerbs) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._verbs = verbs

    @property
    def _signing(self) -> SignCheckpoint:
        """Raises: FEATURE_DISABLED."""
        if self._verbs.sign is None:
            raise RegistryError(
                Reason.FEATURE_DISABLED,
                "this server has no key to sign checkpoints with; the operator sets audit_key_file, the same on every "
                "replica; proofs work without",
                feature="audit.checkpoints",
            )
        return self._verbs.sign

    async def ListAuditEntries(
        self, request: audit_pb2.ListAuditEntriesRequest, context: Context
    ) -> audit_pb2.ListAuditEntriesResponse:
        wanted = filter_from_wire(request)
        page = self._pages.open(request, MAX_ENTRIES)
        before = int(page.after[0]) if page.after else None
        found = await self._edge.read(lambda: self._verbs.list(wanted, before=before, limit=page.limit))
        entries, token = page.close(found, lambda entry: (entry.index,), entry_to_wire)
        return audit_pb2.ListAuditEntriesResponse(entries=entries, next_page_token=token)

    async def ExportAuditEntries(
        self, request: audit_pb2.ExportAuditEntriesRequest, context: Context
    ) -> AsyncIterator[audit_pb2.ExportAuditEntriesResponse]:
        if request.fresh_checkpoint:
            checkpoint: StoredCheckpoint | None = await self._edge.read(self._signing.fresh)
        else:
            checkpoint = await self._edge.read(self._verbs.checkpoints.newest)
        end = checkpoint.size if checkpoint is not None else await self._edge.control.run(self._verbs.read.size)
        first = request.first_index
        while first < end:
            found = await self._edge.control.run(self._verbs.read, first, end)
            if not found:
                break  # what is missing is found by whoever checks the export
            yield audit_pb2.ExportAuditEntriesResponse(entries=[recorded_to_wire(each) for each in found])
            first = found[-1].entry.index + 1
        yield audit_pb2.ExportAuditEntriesResponse(checkpoint=_optional(checkpoint))

    async def GetCheckpoint(self, request: audit_pb2.GetCheckpointRequest, context: Context) -> audit_pb2.Checkpoint:
        return checkpoint_to_wire(await self._edge.read(lambda: self._verbs.checkpoints(request.max_size)))

    async def ListCheckpoints(
        self, request: audit_pb2.ListCheckpointsRequest, context: Context
    ) -> audit_pb2.ListCheckpointsResponse:
        page = self._pages.open(request)
        before = int(page.after[0]) if page.after else None
        found = await self._edge.read(lambda: self._verbs.checkpoints.list(before=before, limit=page.limit))
        checkpoints, token = page.close(found, lambda checkpoint: (checkpoint.size,), checkpoint_to_wire)
        return audit_pb2.ListCheckpointsResponse(checkpoints=checkpoints, next_page_token=token)

    async def GetInclusionProof(
        self, request: audit_pb2.GetInclusionProofRequest, context: Context
    ) -> audit_pb2.GetInclusionProofResponse:
        proof = await self._edge.read(lambda: self._verbs.prove_inclusion(request.index, request.tree_size))
        return audit_pb2.GetInclusionProofResponse(
            entry=recorded_to_wire(proof.recorded),
            tree_size=proof.size,
            hashes=proof.hashes,
            checkpoint=_optional(proof.checkpoint),
        )

    async def GetConsistencyProof(
        self, request: audit_pb2.GetConsistencyProofRequest, context: Context
    ) -> audit_pb2.GetConsistencyProofResponse:
        size, hashes = await self._edge.read(
            lambda: self._verbs.prove_consistency(request.first_size, request.second_size)
        )
        return audit_pb2.GetConsistencyProofResponse(second_size=size, hashes=hashes)

    async def GetAuditKey(
        self, request: audit_pb2.GetAuditKeyRequest, context: Context
    ) -> audit_pb2.GetAuditKeyResponse:
        verifier = self._signing.signer.verifier
        return audit_pb2.GetAuditKeyResponse(origin=verifier.name, verifier_key=str(verifier))


def _optional(checkpoint: StoredCheckpoint | None) -> audit_pb2.Checkpoint | None:
    return None if checkpoint is None else checkpoint_to_wire(checkpoint)
