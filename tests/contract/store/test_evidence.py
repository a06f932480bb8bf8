"""Signers, signatures and evidence over both engines."""

import uuid
from dataclasses import replace

import pytest

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.evidence import (
    Evidence,
    EvidenceKind,
    EvidenceOutcome,
    ModelSignature,
    TrustedSigner,
    Verdict,
)
from registry_grpc.domain.evidence_names import EvidenceName, SignatureName, TrustedSignerName
from tests.contract.store.builders import TIME, add_model, add_version, all_events, change


@pytest.fixture
def version(store):
    return add_version(store, add_model(store))


def named(kind, of):
    return kind(of.name.project, of.name.model, of.name.number, str(uuid.uuid4()))


def add_signer(store, signer_id="ci"):
    def work(unit, revision):
        made = TrustedSigner(
            uid=str(uuid.uuid4()),
            name=TrustedSignerName("default", signer_id),
            public_key="PEM",
            key_id="a" * 64,
            create_time=TIME,
            revision=revision,
        )
        unit.trusted_signers.insert(made)
        unit.record(Action.CREATED, made)
        return made

    return change(store, work)


def add_signature(store, of, **values):
    def work(unit, revision):
        given = {"verdict": Verdict.VALID, "bundle_sha256": "b" * 64, "bundle": b"{}", "manifest_digest": "sha256:c"}
        made = ModelSignature(
            name=named(SignatureName, of),
            version_uid=of.uid,
            create_time=TIME,
            revision=revision,
            **(given | values),
        )
        unit.signatures.insert(made)
        unit.record(Action.CREATED, made)
        return made

    return change(store, work)


def add_evidence(store, of, **values):
    def work(unit, revision):
        given = {"kind": EvidenceKind.TEST, "tool": "pytest", "outcome": EvidenceOutcome.PASSED}
        made = Evidence(
            name=named(EvidenceName, of),
            version_uid=of.uid,
            manifest_digest="sha256:c",
            run_time=TIME,
            create_time=TIME,
            revision=revision,
            **(given | values),
        )
        unit.evidence.insert(made)
        unit.record(Action.CREATED, made)
        return made

    return change(store, work)


def test_signers_are_kept_by_id(store):
    second, first = add_signer(store, "b"), add_signer(store, "a")
    assert store.read(lambda reader: list(reader.trusted_signers.list("default", after="", limit=9))) == [first, second]
    assert store.read(lambda reader: list(reader.trusted_signers.list("default", after="a", limit=9))) == [second]
    assert store.read(lambda reader: reader.trusted_signers.get(first.name)) == first
    assert store.read(lambda reader: reader.trusted_signers.count("default")) == 2
    with pytest.raises(RegistryError) as caught:
        add_signer(store, "a")
    assert caught.value.reason is Reason.RESOURCE_EXISTS
    gone = change(store, lambda unit, _: list(unit.trusted_signers.delete_all("default")))
    assert gone == [first, second]
    assert store.read(lambda reader: reader.trusted_signers.count("default")) == 0


def test_a_signature_counts_while_its_signer_does(store, version):
    signer = add_signer(store)
    theirs = {"signer_uid": signer.uid, "trusted_signer": str(signer.name), "signer": "key:a"}
    made = add_signature(store, version, **theirs)
    failed = add_signature(store, version, verdict=Verdict.FAILED, failure="broken")
    light = replace(made, bundle=b"")
    assert store.read(lambda reader: list(reader.signatures.of_version(version.uid))) == [
        light,
        replace(failed, bundle=b""),
    ]
    assert store.read(lambda reader: reader.signatures.get(version.uid, made.name.id)) == made
    assert store.read(lambda reader: list(reader.signatures.list(version.uid, after=0, limit=1))) == [light]
    change(store, lambda unit, _: unit.trusted_signers.delete(signer.uid))
    add_signer(store)  # of the same name
    forsaken = store.read(lambda reader: reader.signatures.get(version.uid, made.name.id))
    assert (forsaken.verdict, forsaken.trusted_signer, forsaken.signer_uid) == (Verdict.UNTRUSTED, "", "")
    assert forsaken.failure == f"{signer.name} is trusted no more"
    assert store.read(lambda reader: reader.signatures.of_version(version.uid))[1].failure == "broken"


def test_evidence_is_listed_by_kind_and_revision(store, version):
    first = add_evidence(store, version, annotations={"a": "ü"}, findings=2**40)
    scan = add_evidence(store, version, kind=EvidenceKind.SCAN, outcome=EvidenceOutcome.FAILED)
    other = add_version(store, store.read(lambda reader: reader.models.get(version.name.parent)))
    add_evidence(store, other)
    assert store.read(lambda reader: list(reader.evidence.of_version(version.uid))) == [first, scan]
    kinds = [EvidenceKind.SCAN]
    assert store.read(lambda reader: list(reader.evidence.list(version.uid, kinds, after=0, limit=9))) == [scan]
    assert store.read(lambda reader: list(reader.evidence.list(version.uid, (), after=first.revision, limit=9))) == [
        scan
    ]
    assert store.read(lambda reader: reader.evidence.count(version.uid)) == 2
    assert store.read(lambda reader: reader.evidence.get(other.uid, first.name.id)) is None


def test_what_goes_with_a_version_is_that_of_the_version(store, version):
    other = add_version(store, store.read(lambda reader: reader.models.get(version.name.parent)))
    for of in (version, other):
        add_signature(store, of)
        add_evidence(store, of)

    def remove(unit, _):
        unit.signatures.delete_of(version.uid)
        unit.evidence.delete_of(version.uid)

    change(store, remove)
    counts = store.read(
        lambda reader: [(reader.signatures.count(of.uid), reader.evidence.count(of.uid)) for of in (version, other)]
    )
    assert counts == [(0, 0), (1, 1)]


def test_bundles_are_in_no_event(store, version):
    signer, made = add_signer(store), add_signature(store, version, bundle=b"a bundle")
    found = add_evidence(store, version)
    assert [event.after for event in all_events(store)][-3:] == [signer, replace(made, bundle=b""), found]
