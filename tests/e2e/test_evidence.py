"""EvidenceService over a real server, on both deployments: signers, signatures, evidence, and what becomes of them."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from registry_grpc.domain.evidence import MAX_BUNDLE_BYTES, MAX_EVIDENCE, MAX_SIGNATURES
from registry_grpc.v1 import events_pb2, evidence_pb2, versions_pb2
from tests.kit.access import Office
from tests.kit.catalogue import Catalogue, new_id, pages
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.refusals import refused
from tests.kit.signing import BROKEN_BUNDLE, Signer

VALID = evidence_pb2.ModelSignature.VERDICT_VALID
UNTRUSTED = evidence_pb2.ModelSignature.VERDICT_UNTRUSTED
FAILED = evidence_pb2.ModelSignature.VERDICT_FAILED
WEIGHTS = b"weights"
FILES = {"weights.bin": hashlib.sha256(WEIGHTS).hexdigest()}
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as started:
        yield started


@pytest.fixture
def catalogue(server):
    api = server.api()
    yield Catalogue(api)
    api.close()


@pytest.fixture
def stub(catalogue):
    return catalogue.api.evidence


@pytest.fixture
def version(catalogue):
    return catalogue.ready(catalogue.model(), WEIGHTS)


def trust(catalogue, signer, **fields):
    wanted = evidence_pb2.TrustedSigner(public_key=signer.public, **fields)
    return catalogue.api.evidence.CreateTrustedSigner(
        evidence_pb2.CreateTrustedSignerRequest(
            parent=catalogue.parent, trusted_signer_id=new_id("s"), trusted_signer=wanted
        )
    )


def add(stub, parent, bundle, **fields):
    return stub.AddSignature(evidence_pb2.AddSignatureRequest(parent=parent, bundle=bundle, **fields))


def signatures(stub, parent, **fields):
    return list(pages(stub.ListSignatures, evidence_pb2.ListSignaturesRequest(parent=parent, **fields)))


def evidence(**fields):
    given = {"kind": evidence_pb2.EVIDENCE_KIND_TEST, "tool": "pytest", "outcome": evidence_pb2.EVIDENCE_OUTCOME_PASSED}
    return evidence_pb2.Evidence(**(given | fields))


def report(stub, parent, **fields):
    return stub.AddEvidence(evidence_pb2.AddEvidenceRequest(parent=parent, evidence=evidence(**fields)))


def test_a_signature_by_a_trusted_signer_counts_until_the_signer_does_not(catalogue, stub, version):
    mine = Signer()
    signer = trust(catalogue, mine, display_name="CI")
    assert len(signer.key_id) == 64
    bundle = mine.bundle(FILES)
    made = add(stub, version.name, bundle)
    assert (made.verdict, made.failure) == (VALID, "")
    assert (made.trusted_signer, made.signer) == (signer.name, f"key:{signer.key_id}")
    assert made.bundle_sha256 == hashlib.sha256(bundle).hexdigest()
    assert made.manifest_digest == version.manifest_digest
    read = stub.GetSignature(evidence_pb2.GetSignatureRequest(name=made.name))
    assert read.bundle == bundle
    read.ClearField("bundle")
    assert [read] == signatures(stub, version.name) == [made]
    stub.DeleteTrustedSigner(evidence_pb2.DeleteTrustedSignerRequest(name=signer.name, etag=signer.etag))
    (forsaken,) = signatures(stub, version.name)
    assert (forsaken.verdict, forsaken.trusted_signer) == (UNTRUSTED, "")
    assert "trusted no more" in forsaken.failure
    # The same key under the same name is another decision: old signatures stay as they are, new ones count.
    trust(catalogue, mine)
    assert signatures(stub, version.name) == [forsaken]
    assert add(stub, version.name, bundle).verdict == VALID


@pytest.mark.promise("P14", "signature bundles")
def test_what_does_not_count_is_kept_with_its_reason(catalogue, stub, version):
    mine, other = Signer(), Signer()
    trust(catalogue, mine)
    assert add(stub, version.name, other.bundle(FILES)).verdict == UNTRUSTED
    wrong = add(stub, version.name, mine.bundle({"weights.bin": "0" * 64}))
    assert (wrong.verdict, wrong.failure) == (FAILED, "it signs other bytes of 'weights.bin'")
    assert add(stub, version.name, BROKEN_BUNDLE).verdict == FAILED
    assert [each.verdict for each in signatures(stub, version.name, page_size=2)] == [UNTRUSTED, FAILED, FAILED]


@pytest.mark.promise("P14", "signature bundles")
def test_what_is_no_bundle_is_refused(stub, version):
    for bundle in (b"", b"{}", b"no", b" " * (MAX_BUNDLE_BYTES + 1)):
        refusal = refused(add, stub, version.name, bundle)
        assert (refusal.code, refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", ("bundle",))
    assert signatures(stub, version.name) == []


def test_a_bundle_as_large_as_may_be_is_taken_and_given_back(catalogue, stub, version):
    mine = Signer()
    trust(catalogue, mine)
    bundle = mine.bundle(FILES)
    largest = bundle + b" " * (MAX_BUNDLE_BYTES - len(bundle))
    assert add(stub, version.name, largest).verdict == VALID
    # A gRPC client that was told nothing takes answers of 4 MiB.
    bundle = largest[:-4096]
    made = add(stub, version.name, bundle)
    assert stub.GetSignature(evidence_pb2.GetSignatureRequest(name=made.name)).bundle == bundle


def test_drafts_and_what_is_not_there_are_refused(catalogue, stub, version):
    draft = catalogue.draft(catalogue.model()).name
    assert refused(add, stub, draft, BROKEN_BUNDLE).reason == "VERSION_STATE"
    assert refused(report, stub, draft).reason == "VERSION_STATE"
    gone = version.name.replace("versions/1", "versions/9")
    assert refused(add, stub, gone, BROKEN_BUNDLE).reason == "VERSION_NOT_FOUND"
    for method, request, reason in (
        (stub.GetSignature, evidence_pb2.GetSignatureRequest(name=f"{version.name}/signatures/{NOBODY}"), "SIGNATURE"),
        (stub.GetEvidence, evidence_pb2.GetEvidenceRequest(name=f"{version.name}/evidence/{NOBODY}"), "EVIDENCE"),
        (
            stub.GetTrustedSigner,
            evidence_pb2.GetTrustedSignerRequest(name=f"{catalogue.parent}/trustedSigners/x"),
            "TRUSTED_SIGNER",
        ),
        (
            stub.DeleteTrustedSigner,
            evidence_pb2.DeleteTrustedSignerRequest(name=f"{catalogue.parent}/trustedSigners/x"),
            "TRUSTED_SIGNER",
        ),
    ):
        refusal = refused(method, request)
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", f"{reason}_NOT_FOUND")


def test_a_signer_lives(catalogue, stub):
    signer = trust(catalogue, Signer())
    assert stub.GetTrustedSigner(evidence_pb2.GetTrustedSignerRequest(name=signer.name)) == signer
    more = [trust(catalogue, Signer()) for _ in range(3)]
    request = evidence_pb2.ListTrustedSignersRequest(parent=catalogue.parent, page_size=2)
    assert list(pages(stub.ListTrustedSigners, request)) == sorted([signer, *more], key=lambda each: each.name)
    taken = evidence_pb2.CreateTrustedSignerRequest(
        parent=catalogue.parent,
        trusted_signer_id=signer.name.rpartition("/")[2],
        trusted_signer=evidence_pb2.TrustedSigner(public_key=Signer().public),
    )
    assert refused(stub.CreateTrustedSigner, taken).reason == "RESOURCE_EXISTS"
    stale = evidence_pb2.DeleteTrustedSignerRequest(name=signer.name, etag="0")
    assert refused(stub.DeleteTrustedSigner, stale).reason == "ETAG_MISMATCH"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "trusted_signer.public_key"),
        ({"public_key": "x"}, "trusted_signer.public_key"),
        ({"public_key": "x" * 65_537}, "trusted_signer.public_key"),
        ({"certificate_authorities": "x"}, "trusted_signer.certificate_authorities"),
        ({"certificate_authorities": "x", "certificate_identity": "ada"}, "trusted_signer.certificate_identity"),
    ],
)
def test_signers_that_mean_nothing_are_refused(catalogue, stub, fields, path):
    request = evidence_pb2.CreateTrustedSignerRequest(
        parent=catalogue.parent, trusted_signer_id="s", trusted_signer=evidence_pb2.TrustedSigner(**fields)
    )
    refusal = refused(stub.CreateTrustedSigner, request)
    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", (path,))


def test_evidence_is_kept_as_it_was_reported(stub, version):
    ran = Timestamp()
    ran.FromDatetime(datetime.now(UTC) - timedelta(hours=1))
    ran.nanos = 123_456_000
    made = report(
        stub,
        version.name,
        tool_version="8.4",
        summary="3 passed\n1 skipped",
        findings=4,
        manifest_digest=version.manifest_digest,
        report_sha256="a" * 64,
        report_uri="https://ci.example.com/1",
        run_time=ran,
        annotations={"commit": "abc"},
    )
    assert made.run_time == ran
    assert made.reporter == "user:admin"
    assert stub.GetEvidence(evidence_pb2.GetEvidenceRequest(name=made.name)) == made
    scan = report(stub, version.name, kind=evidence_pb2.EVIDENCE_KIND_SCAN, outcome=2)
    assert scan.manifest_digest == version.manifest_digest
    assert scan.run_time == scan.create_time
    request = evidence_pb2.ListEvidenceRequest(parent=version.name, page_size=1)
    assert list(pages(stub.ListEvidence, request)) == [made, scan]
    request.kinds.append(evidence_pb2.EVIDENCE_KIND_SCAN)
    assert list(pages(stub.ListEvidence, request)) == [scan]


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ({"kind": 0}, "INVALID_FIELD", "evidence.kind"),
        ({"kind": 99}, "INVALID_FIELD", "evidence.kind"),
        ({"tool": ""}, "INVALID_FIELD", "evidence.tool"),
        ({"tool": "x" * 129}, "INVALID_FIELD", "evidence.tool"),
        ({"outcome": 0}, "INVALID_FIELD", "evidence.outcome"),
        ({"summary": "x" * 16_385}, "INVALID_FIELD", "evidence.summary"),
        ({"findings": -1}, "INVALID_FIELD", "evidence.findings"),
        ({"report_sha256": "x"}, "INVALID_FIELD", "evidence.report_sha256"),
        ({"run_time": Timestamp(seconds=4_102_444_800)}, "INVALID_FIELD", "evidence.run_time"),
        ({"manifest_digest": f"sha256:{'0' * 64}"}, "DIGEST_MISMATCH", None),
    ],
)
def test_evidence_that_means_nothing_is_refused(stub, version, fields, reason, path):
    refusal = refused(report, stub, version.name, **fields)
    assert refusal.reason == reason
    assert path is None or path in refusal.fields


def test_a_version_has_room_for_so_much(catalogue, stub, version):
    for _ in range(MAX_SIGNATURES):
        add(stub, version.name, BROKEN_BUNDLE)
    refusal = refused(add, stub, version.name, BROKEN_BUNDLE)
    assert (refusal.reason, refusal.facts["limit"]) == ("QUOTA_EXCEEDED", "100")
    for _ in range(MAX_EVIDENCE):
        report(stub, version.name)
    refusal = refused(report, stub, version.name)
    assert (refusal.reason, refusal.facts["limit"]) == ("QUOTA_EXCEEDED", "1000")


def test_a_watch_shows_signatures_without_bundles_and_evidence_but_no_signers(catalogue, stub, version):
    before = catalogue.revision()
    mine = Signer()
    trust(catalogue, mine)
    made, found = add(stub, version.name, mine.bundle(FILES)), report(stub, version.name)
    request = events_pb2.ListEventsRequest(parent=catalogue.parent, after_revision=before)
    shown = catalogue.api.events.ListEvents(request).events
    assert [(each.resource_type, each.name) for each in shown] == [
        ("ModelSignature", made.name),
        ("Evidence", found.name),
    ]
    assert shown[0].signature == made
    assert shown[1].evidence == found
    request.resource_types.append("Evidence")
    assert [each.name for each in catalogue.api.events.ListEvents(request).events] == [found.name]


def test_a_copy_has_neither_and_a_purge_takes_both(catalogue, stub, version):
    mine = Signer()
    trust(catalogue, mine)
    made, found = add(stub, version.name, mine.bundle(FILES)), report(stub, version.name)
    target = catalogue.model()
    copied = catalogue.api.models.CopyVersion(versions_pb2.CopyVersionRequest(parent=target, source=version.name))
    assert signatures(stub, copied.name) == []
    assert list(pages(stub.ListEvidence, evidence_pb2.ListEvidenceRequest(parent=copied.name))) == []
    # What was signed is the content: the same bundle fits the copy.
    assert add(stub, copied.name, mine.bundle(FILES)).verdict == VALID
    catalogue.delete(version.name)
    assert stub.GetSignature(evidence_pb2.GetSignatureRequest(name=made.name)).verdict == VALID
    assert refused(report, stub, version.name).reason == "VERSION_NOT_FOUND"
    catalogue.api.models.PurgeVersion(versions_pb2.PurgeVersionRequest(name=version.name))
    for method, request in (
        (stub.GetSignature, evidence_pb2.GetSignatureRequest(name=made.name)),
        (stub.GetEvidence, evidence_pb2.GetEvidenceRequest(name=found.name)),
    ):
        assert refused(method, request).reason == "VERSION_NOT_FOUND"


def test_who_may_do_what(server, catalogue, version):
    office = Office(server)
    parent = catalogue.parent
    viewer, contributor, admin = (office.bound(role, parent).at(server) for role in ("viewer", "contributor", "admin"))
    mine = Signer()
    creation = evidence_pb2.CreateTrustedSignerRequest(
        parent=parent,
        trusted_signer_id="ci",
        trusted_signer=evidence_pb2.TrustedSigner(public_key=mine.public),
    )
    for caller in (viewer, contributor):
        assert refused(caller.evidence.CreateTrustedSigner, creation).reason == "PERMISSION_MISSING"
    signer = admin.evidence.CreateTrustedSigner(creation)
    assert refused(add, viewer.evidence, version.name, BROKEN_BUNDLE).reason == "PERMISSION_MISSING"
    assert refused(report, viewer.evidence, version.name).reason == "PERMISSION_MISSING"
    assert add(contributor.evidence, version.name, mine.bundle(FILES)).verdict == VALID
    assert report(contributor.evidence, version.name).reporter.startswith("serviceAccount:")
    assert len(signatures(viewer.evidence, version.name)) == 1
    deletion = evidence_pb2.DeleteTrustedSignerRequest(name=signer.name)
    # Whoever signs must not say who is trusted.
    assert refused(contributor.evidence.DeleteTrustedSigner, deletion).reason == "PERMISSION_MISSING"
    admin.evidence.DeleteTrustedSigner(deletion)
    for api in (viewer, contributor, admin):
        api.close()
    office.close()


def test_validate_only_keeps_nothing_and_a_retry_adds_once(catalogue, stub, version):
    mine = Signer()
    trust(catalogue, mine)
    assert add(stub, version.name, mine.bundle(FILES), validate_only=True).verdict == VALID
    assert signatures(stub, version.name) == []
    bundle = mine.bundle(FILES)
    first = add(stub, version.name, bundle, request_id=NOBODY)
    assert add(stub, version.name, bundle, request_id=NOBODY) == first
    assert signatures(stub, version.name) == [first]
