"""Trusted signers, signatures of versions, and evidence about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_grpc.client.connection import Pages
from registry_grpc.client.errors import FailedPrecondition, RegistryError
from registry_grpc.client.metadata import message
from registry_grpc.client.session import Session
from registry_grpc.client.stages import StageCalls
from registry_grpc.v1 import artifacts_pb2, evidence_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_MOST = 1000


class _OfVersions(Session):
    """What lies below a version."""

    def _version_name(self, ref: str) -> str:
        return StageCalls(self._connection).version_name(ref)


class EvidenceCalls(_OfVersions):
    """Evidence about versions, at `registry.evidence`. Every method raises RegistryError."""

    def add(self, ref: str, **fields: Any) -> evidence_pb2.Evidence:  # noqa: ANN401 -- checked by field
        """The evidence, now with the version `ref` stands for.

        `fields` are those of the message, e.g. `kind="test", tool="pytest", outcome="passed", findings=0`.
        """
        wanted = message(evidence_pb2.Evidence, fields, "evidence")
        request = evidence_pb2.AddEvidenceRequest(parent=self._version_name(ref), evidence=wanted)
        return self._connection.write(self._connection.stubs.evidence.AddEvidence, request)

    def get(self, name: str) -> evidence_pb2.Evidence:
        """One piece of evidence, by its resource name."""
        request = evidence_pb2.GetEvidenceRequest(name=name)
        return self._connection.read(self._connection.stubs.evidence.GetEvidence, request)

    def list(
        self, ref: str, *, kinds: Iterable[evidence_pb2.EvidenceKind.ValueType] = (), page_size: int = 0
    ) -> Iterable[evidence_pb2.Evidence]:
        """The evidence about a version, the oldest first; fetched page by page."""
        parent, wanted = self._version_name(ref), [*kinds]

        def fetch(token: str) -> evidence_pb2.ListEvidenceResponse:
            request = evidence_pb2.ListEvidenceRequest(
                parent=parent, kinds=wanted, page_size=page_size, page_token=token
            )
            return self._connection.read(self._connection.stubs.evidence.ListEvidence, request)

        return Pages[evidence_pb2.Evidence](fetch, "evidence")


class SignatureCalls(_OfVersions):
    """Signatures of versions, at `registry.signatures`. Every method raises RegistryError."""

    def add(self, ref: str, bundle: bytes) -> evidence_pb2.ModelSignature:
        """An OpenSSF Model Signing bundle, now with the version, and what the server made of it."""
        request = evidence_pb2.AddSignatureRequest(parent=self._version_name(ref), bundle=bundle)
        return self._connection.write(self._connection.stubs.evidence.AddSignature, request)

    def get(self, name: str) -> evidence_pb2.ModelSignature:
        """One signature with its bundle, by its resource name."""
        request = evidence_pb2.GetSignatureRequest(name=name)
        return self._connection.read(self._connection.stubs.evidence.GetSignature, request)

    def list(self, ref: str, *, page_size: int = 0) -> Iterable[evidence_pb2.ModelSignature]:
        """The signatures of a version without their bundles, the oldest first; fetched page by page."""
        parent = self._version_name(ref)

        def fetch(token: str) -> evidence_pb2.ListSignaturesResponse:
            request = evidence_pb2.ListSignaturesRequest(parent=parent, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.evidence.ListSignatures, request)

        return Pages[evidence_pb2.ModelSignature](fetch, "signatures")

    def sign(
        self,
        ref: str,
        key: str | Path,
        *,
        password: str | None = None,
        certificates: str | Path | None = None,
    ) -> evidence_pb2.ModelSignature:
        """Sign the files of a version by their digests, without fetching them, and add the bundle.

        Raises: InvalidArgument for a key that cannot be used; RegistryError without `registry-grpc[signing]`.
        """
        try:
            # cryptography, which only signers need.
            from registry_grpc.client.signing import make_bundle  # noqa: PLC0415
        except ImportError as error:
            raise RegistryError(f"signing needs {error.name}: pip install 'registry-grpc[signing]'") from error
        version = self._version_name(ref)
        files = {file.path: file.digest.sha256 for file in self._files(version)}
        model = version.split("/")[3]
        return self.add(version, make_bundle(model, files, key, password=password, certificates=certificates))

    def require_valid(self, ref: str) -> Sequence[evidence_pb2.ModelSignature]:
        """The signatures of a version that the server holds for valid; at least one.

        Raises: FailedPrecondition that says what is wrong with those there are.
        """
        version = self._version_name(ref)
        found = [*self.list(version)]
        valid = [each for each in found if each.verdict == evidence_pb2.ModelSignature.VERDICT_VALID]
        if not valid:
            faults = "; ".join(each.failure for each in found[-3:]) or "it has none"
            raise FailedPrecondition(f"{version} has no valid signature: {faults}")
        return valid

    def _files(self, version: str) -> Iterable[artifacts_pb2.Artifact]:
        def fetch(token: str) -> artifacts_pb2.ListArtifactsResponse:
            request = artifacts_pb2.ListArtifactsRequest(parent=version, page_size=_MOST, page_token=token)
            return self._connection.read(self._connection.stubs.artifacts.ListArtifacts, request)

        return Pages[artifacts_pb2.Artifact](fetch, "artifacts")


class SignerCalls(Session):
    """Signers whose signatures count, at `registry.trusted_signers`. Every method raises RegistryError.

    A signer is given as its resource name, or its id alone for one in the project of this client.
    """

    def create(self, signer: str, **fields: Any) -> evidence_pb2.TrustedSigner:  # noqa: ANN401 -- checked by field
        """The new signer; `fields` are those of the message, `public_key=` or `certificate_authorities=` in PEM."""
        parent, _, signer_id = self.name_of(signer).rpartition("/trustedSigners/")
        wanted = message(evidence_pb2.TrustedSigner, fields, "trusted_signer")
        request = evidence_pb2.CreateTrustedSignerRequest(
            parent=parent, trusted_signer_id=signer_id, trusted_signer=wanted
        )
        return self._connection.write(self._connection.stubs.evidence.CreateTrustedSigner, request)

    def get(self, signer: str) -> evidence_pb2.TrustedSigner:
        """One trusted signer."""
        request = evidence_pb2.GetTrustedSignerRequest(name=self.name_of(signer))
        return self._connection.read(self._connection.stubs.evidence.GetTrustedSigner, request)

    def list(self, project: str | None = None, *, page_size: int = 0) -> Iterable[evidence_pb2.TrustedSigner]:
        """The trusted signers of a project, by id; fetched page by page."""
        parent = self.project_name(project)

        def fetch(token: str) -> evidence_pb2.ListTrustedSignersResponse:
            request = evidence_pb2.ListTrustedSignersRequest(parent=parent, page_size=page_size, page_token=token)
            return self._connection.read(self._connection.stubs.evidence.ListTrustedSigners, request)

        return Pages[evidence_pb2.TrustedSigner](fetch, "trusted_signers")

    def delete(self, signer: str, *, etag: str = "") -> None:
        """Trust it no more, and so none of its signatures."""
        request = evidence_pb2.DeleteTrustedSignerRequest(name=self.name_of(signer), etag=etag)
        self._connection.write(self._connection.stubs.evidence.DeleteTrustedSigner, request)

    def name_of(self, signer: str) -> str:
        """Resource name of a signer in any form of this class."""
        return signer if "/" in signer else f"{self.project_name()}/trustedSigners/{signer}"
