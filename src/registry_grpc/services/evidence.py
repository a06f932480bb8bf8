"""EvidenceService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.evidence_names import EvidenceName, SignatureName, TrustedSignerName
from registry_grpc.domain.names import ProjectName, VersionName
from registry_grpc.services.codec.evidence import (
    KIND,
    evidence_fields,
    evidence_to_wire,
    signature_to_wire,
    signer_to_wire,
)
from registry_grpc.services.masks import fields_to_create
from registry_grpc.v1 import evidence_pb2, evidence_pb2_grpc

if TYPE_CHECKING:
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Page, Pages
    from registry_grpc.usecases import evidence, signing


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceVerbs:
    """The use cases of signers, signatures and evidence."""

    create_signer: signing.CreateTrustedSigner
    get_signer: signing.GetTrustedSigner
    list_signers: signing.ListTrustedSigners
    delete_signer: signing.DeleteTrustedSigner
    add_signature: signing.AddSignature
    get_signature: signing.GetSignature
    list_signatures: signing.ListSignatures
    add: evidence.AddEvidence
    get: evidence.GetEvidence
    list: evidence.ListEvidence


class EvidenceServicer(evidence_pb2_grpc.EvidenceServiceServicer):
    """Trusted signers, signatures and evidence."""

    def __init__(self, edge: Edge, pages: Pages, verbs: EvidenceVerbs) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._verbs = verbs

    async def CreateTrustedSigner(
        self, request: evidence_pb2.CreateTrustedSignerRequest, context: Context
    ) -> evidence_pb2.TrustedSigner:
        name = TrustedSignerName(ProjectName.parse(request.parent, "parent").project, request.trusted_signer_id)
        wanted = request.trusted_signer
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.create_signer(
                call,
                name,
                wanted.display_name,
                public_key=wanted.public_key,
                certificate_authorities=wanted.certificate_authorities,
                certificate_identity=wanted.certificate_identity,
            ),
            signer_to_wire,
        )

    async def GetTrustedSigner(
        self, request: evidence_pb2.GetTrustedSignerRequest, context: Context
    ) -> evidence_pb2.TrustedSigner:
        name = TrustedSignerName.parse(request.name)
        return signer_to_wire(await self._edge.read(lambda: self._verbs.get_signer(name)))

    async def ListTrustedSigners(
        self, request: evidence_pb2.ListTrustedSignersRequest, context: Context
    ) -> evidence_pb2.ListTrustedSignersResponse:
        parent = ProjectName.parse(request.parent, "parent")
        page = self._pages.open(request)
        after = str(page.after[0]) if page.after else ""
        found = await self._edge.read(lambda: self._verbs.list_signers(parent, after=after, limit=page.limit))
        signers, token = page.close(found, lambda signer: (signer.name.signer,), signer_to_wire)
        return evidence_pb2.ListTrustedSignersResponse(trusted_signers=signers, next_page_token=token)

    async def DeleteTrustedSigner(
        self, request: evidence_pb2.DeleteTrustedSignerRequest, context: Context
    ) -> evidence_pb2.DeleteTrustedSignerResponse:
        name = TrustedSignerName.parse(request.name)
        return await self._edge.mutate(
            request,
            lambda call: self._verbs.delete_signer(call, name, request.etag),
            lambda _: evidence_pb2.DeleteTrustedSignerResponse(),
        )

    async def AddSignature(
        self, request: evidence_pb2.AddSignatureRequest, context: Context
    ) -> evidence_pb2.ModelSignature:
        parent = VersionName.parse(request.parent, "parent")
        return await self._edge.mutate(
            request, lambda call: self._verbs.add_signature(call, parent, request.bundle), signature_to_wire
        )

    async def GetSignature(
        self, request: evidence_pb2.GetSignatureRequest, context: Context
    ) -> evidence_pb2.ModelSignature:
        name = SignatureName.parse(request.name)
        return signature_to_wire(await self._edge.read(lambda: self._verbs.get_signature(name)))

    async def ListSignatures(
        self, request: evidence_pb2.ListSignaturesRequest, context: Context
    ) -> evidence_pb2.ListSignaturesResponse:
        parent = VersionName.parse(request.parent, "parent")
        page = self._pages.open(request)
        found = await self._edge.read(
            lambda: self._verbs.list_signatures(parent, after=_revision(page), limit=page.limit)
        )
        signatures, token = page.close(found, lambda signature: (signature.revision,), signature_to_wire)
        return evidence_pb2.ListSignaturesResponse(signatures=signatures, next_page_token=token)

    async def AddEvidence(self, request: evidence_pb2.AddEvidenceRequest, context: Context) -> evidence_pb2.Evidence:
        parent = VersionName.parse(request.parent, "parent")
        fields = evidence_fields(request.evidence, fields_to_create(request.evidence))
        return await self._edge.mutate(request, lambda call: self._verbs.add(call, parent, fields), evidence_to_wire)

    async def GetEvidence(self, request: evidence_pb2.GetEvidenceRequest, context: Context) -> evidence_pb2.Evidence:
        name = EvidenceName.parse(request.name)
        return evidence_to_wire(await self._edge.read(lambda: self._verbs.get(name)))

    async def ListEvidence(
        self, request: evidence_pb2.ListEvidenceRequest, context: Context
    ) -> evidence_pb2.ListEvidenceResponse:
        parent = VersionName.parse(request.parent, "parent")
        kinds = [KIND.from_wire(number, f"kinds[{at}]") for at, number in enumerate(request.kinds)]
        page = self._pages.open(request)
        found = await self._edge.read(lambda: self._verbs.list(parent, kinds, after=_revision(page), limit=page.limit))
        items, token = page.close(found, lambda evidence: (evidence.revision,), evidence_to_wire)
        return evidence_pb2.ListEvidenceResponse(evidence=items, next_page_token=token)


def _revision(page: Page) -> int:
    """Where a list by revision goes on."""
    return int(page.after[0]) if page.after else 0
