"""What the composition root adds for signatures and evidence: their servicer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.services.evidence import EvidenceServicer, EvidenceVerbs
from registry_grpc.usecases import evidence, signing

if TYPE_CHECKING:
    from registry_grpc.ports.clock import Ids
    from registry_grpc.services.edge import Edge
    from registry_grpc.services.pages import Pages


def evidence_servicer(edge: Edge, pages: Pages, ids: Ids, max_files: int) -> EvidenceServicer:
    """The servicer with its use cases."""
    store = edge.store
    verbs = EvidenceVerbs(
        create_signer=signing.CreateTrustedSigner(store, ids),
        get_signer=signing.GetTrustedSigner(store),
        list_signers=signing.ListTrustedSigners(store),
        delete_signer=signing.DeleteTrustedSigner(store),
        add_signature=signing.AddSignature(store, ids, max_files),
        get_signature=signing.GetSignature(store),
        list_signatures=signing.ListSignatures(store),
        add=evidence.AddEvidence(store, ids),
        get=evidence.GetEvidence(store),
        list=evidence.ListEvidence(store),
    )
    return EvidenceServicer(edge, pages, verbs)
