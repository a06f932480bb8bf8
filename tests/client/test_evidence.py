"""`registry.evidence`, `registry.signatures` and `registry.trusted_signers` against a real server."""

import sys

import pytest

from registry_grpc.client import FailedPrecondition, InvalidArgument, NotFound, RegistryError
from registry_grpc.v1 import evidence_pb2
from tests.kit.catalogue import new_id
from tests.kit.signing import Signer, issued

VALID = evidence_pb2.ModelSignature.VERDICT_VALID


@pytest.fixture
def version(registry, tree):
    model = new_id("m")
    registry.push(model, tree)
    return f"{model}/1"


def test_a_version_is_signed_with_a_key_and_verified(registry, version, tmp_path):
    mine = Signer()
    (tmp_path / "key.pem").write_bytes(mine.private)
    with pytest.raises(FailedPrecondition, match="it has none"):
        registry.verify_version(version)
    assert registry.sign_version(version, tmp_path / "key.pem").verdict != VALID
    with pytest.raises(FailedPrecondition, match="none of a trusted signer"):
        registry.verify_version(version)
    name = new_id("s")
    signer = registry.trusted_signers.create(name, public_key=mine.public)
    assert registry.trusted_signers.get(name) == signer
    assert signer in registry.trusted_signers.list()
    made = registry.sign_version(version, tmp_path / "key.pem")
    assert made.verdict == VALID
    assert registry.verify_version(version) == [made]
    assert registry.signatures.get(made.name).bundle
    registry.trusted_signers.delete(name)
    with pytest.raises(FailedPrecondition, match="trusted no more"):
        registry.verify_version(version)
    with pytest.raises(NotFound):
        registry.trusted_signers.get(name)


def test_a_version_is_signed_with_a_certificate(registry, version, tmp_path):
    chain = issued(between=1)
    (tmp_path / "key.pem").write_bytes(chain.key)
    (tmp_path / "chain.pem").write_bytes(chain.certificates)
    identity = "uri:spiffe://ci/train"
    registry.trusted_signers.create(new_id("s"), certificate_authorities=chain.root, certificate_identity=identity)
    made = registry.sign_version(version, tmp_path / "key.pem", certificates=tmp_path / "chain.pem")
    assert (made.verdict, made.signer) == (VALID, identity)


def test_keys_that_are_none_are_refused(registry, version, tmp_path):
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(InvalidArgument, match="no private key"):
        registry.sign_version(version, tmp_path / "key.pem")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        registry.sign_version(version, tmp_path / "absent.pem")


def test_signing_without_its_packages_says_what_to_install(registry, version, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "registry_grpc.client.signing", None)
    with pytest.raises(RegistryError, match=r"registry-grpc\[signing\]"):
        registry.sign_version(version, tmp_path / "key.pem")


def test_evidence_by_the_sdk(registry, version):
    made = registry.evidence.add(version, kind="test", tool="pytest", outcome="passed", annotations={"commit": "abc"})
    scan = registry.evidence.add(f"{version.partition('/')[0]}", kind="scan", tool="picklescan", outcome="failed")
    assert registry.evidence.get(made.name) == made
    assert list(registry.evidence.list(version, page_size=1)) == [made, scan]
    assert list(registry.evidence.list(version, kinds=[evidence_pb2.EVIDENCE_KIND_SCAN])) == [scan]
    with pytest.raises(InvalidArgument, match="kind"):
        registry.evidence.add(version, kind="rumour", tool="x", outcome="passed")
