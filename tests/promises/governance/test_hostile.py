"""P11: what people try with approvals, over the wire, and the status each gets (hostile inputs, row 51)."""

import hashlib

import pytest

from registry_grpc.v1 import artifacts_pb2, common_pb2, versions_pb2
from registry_grpc.v1 import governance_pb2 as pb
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.governing import ONE_APPROVAL, TWO_APPROVALS, Governed, approve, refused

pytestmark = pytest.mark.promise("P11", "hostile")


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def served(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        yield server


@pytest.fixture
def governed(served):
    place = Governed(served)
    yield place
    place.close()


def test_ones_own_request_is_not_approved(governed):
    governed.policy(ONE_APPROVAL)
    asker = governed.person("approver", "contributor")
    request = governed.ask(governed.staged().name, api=asker)
    refused("PERMISSION_DENIED", "SELF_APPROVAL", lambda: approve(asker, request.name))
    assert not governed.get(request.name).approvals


@pytest.mark.parametrize("part", ["created", "uploaded", "attached", "copied"])
def test_what_one_made_or_sent_is_not_approved(governed, part):
    governed.policy(ONE_APPROVAL)
    maker = governed.person("approver", "contributor")
    mine = governed.catalogue.on(maker)
    if part == "created":
        version = mine.ready(governed.model)
    elif part == "copied":
        made = mine.ready(governed.model)
        copy = versions_pb2.CopyVersionRequest(parent=governed.model, source=made.name)
        version = governed.catalogue.api.models.CopyVersion(copy)
    else:
        version = governed.catalogue.draft(governed.model)
        if part == "uploaded":
            mine.upload(version.name, "w", b"bytes of the maker")
        else:
            governed.catalogue.ready(governed.model, b"known bytes")
            _attach(maker, version.name, b"known bytes")
        governed.catalogue.finalize(version.name)
    governed.catalogue.promote(version.name, "staging")
    request = governed.ask(version.name)
    refused("PERMISSION_DENIED", "SELF_APPROVAL", lambda: approve(maker, request.name))
    assert approve(governed.person("approver"), request.name).state == pb.PromotionRequest.STATE_APPROVED


def _stays_out(governed, version):
    refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED", lambda: governed.catalogue.promote(version, "production"))


def _attach(api, version, content):
    digest = common_pb2.Digest(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    wanted = [artifacts_pb2.ArtifactAttachment(path="w", digest=digest)]
    api.artifacts.AttachArtifacts(artifacts_pb2.AttachArtifactsRequest(parent=version, attachments=wanted))


def test_the_upload_that_another_one_resumed_is_of_both(governed):
    """Whoever administers uploads may send the bytes of somebody else's."""
    governed.policy(ONE_APPROVAL)
    starter, sender = governed.person("contributor", "approver"), governed.person("admin")
    version = governed.catalogue.draft(governed.model)
    _resumed(starter, sender, version.name, b"sent by another one")
    governed.catalogue.finalize(version.name)
    governed.catalogue.promote(version.name, "staging")
    request = governed.ask(version.name)
    for each in (starter, sender):
        refused("PERMISSION_DENIED", "SELF_APPROVAL", lambda each=each: approve(each, request.name))


def _resumed(starter, sender, version, content):
    start = artifacts_pb2.StartUploadRequest(parent=version, path="w", size_bytes=len(content))
    upload = starter.artifacts.StartUpload(start)
    digest = common_pb2.Digest(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    chunk = common_pb2.Chunk(content=content)
    write = artifacts_pb2.WriteUploadRequest(name=upload.name, chunk=chunk, finish_write=True, digest=digest)
    assert sender.artifacts.WriteUpload(iter([write])).state == artifacts_pb2.Upload.STATE_COMMITTED


def test_approving_twice_counts_once(governed):
    governed.policy(TWO_APPROVALS)
    person = governed.person("approver")
    request = governed.ask(governed.staged().name)
    first, second = approve(person, request.name), approve(person, request.name)
    assert (second.revision, second.approvals_missing, len(second.approvals)) == (first.revision, 1, 1)
    refused(
        "FAILED_PRECONDITION", "APPROVAL_REQUIRED", lambda: governed.catalogue.promote(request.version, "production")
    )


@pytest.mark.parametrize("change", ["policy", "holder", "yanked"])
def test_an_approval_from_before_a_change_promotes_nothing(governed, change):
    policy = governed.policy(ONE_APPROVAL)
    person, request = governed.person("approver"), governed.ask(governed.staged().name)
    approve(person, request.name)
    if change == "policy":
        policy.description = "new"
        governed.api.UpdatePolicy(pb.UpdatePolicyRequest(policy=policy))
    elif change == "holder":
        governed.catalogue.promote(governed.staged().name, "production", break_glass=True, justification="fire")
    else:
        yank = versions_pb2.YankVersionRequest(name=request.version, reason="bad data")
        governed.catalogue.api.models.YankVersion(yank)
    reason = {"policy": "APPROVAL_REQUIRED", "holder": "APPROVAL_REQUIRED", "yanked": "VERSION_STATE"}[change]
    refused("FAILED_PRECONDITION", reason, lambda: governed.catalogue.promote(request.version, "production"))
    if change != "policy":  # that can be approved anew
        closed = {"holder": "PROMOTION_CLOSED", "yanked": "VERSION_STATE"}[change]
        refused("FAILED_PRECONDITION", closed, lambda: approve(person, request.name))


def test_a_revoked_role_neither_counts_nor_decides(governed):
    governed.policy(ONE_APPROVAL)
    principal, person = governed.named("approver")
    governed.office.bind("viewer", governed.catalogue.parent, principal)
    request = governed.ask(governed.staged().name)
    approve(person, request.name)
    governed.office.unbind(governed.bindings[principal])
    refused("PERMISSION_DENIED", "PERMISSION_MISSING", lambda: approve(person, request.name))
    refused(
        "FAILED_PRECONDITION", "APPROVAL_REQUIRED", lambda: governed.catalogue.promote(request.version, "production")
    )
    assert governed.get(request.name).approvals[0].void
