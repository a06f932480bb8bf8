"""What the audit trail tells, over a real server on both deployments: of whom, of what, and to whom."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.cli.audit_files import line_of
from registry_grpc.services.audit import MAX_ENTRIES
from registry_grpc.v1 import access_pb2, audit_pb2, evidence_pb2, models_pb2, webhooks_pb2
from tests.kit.access import Office
from tests.kit.auditing import audited, entries, exported, told
from tests.kit.catalogue import Catalogue, pages, request_id
from tests.kit.deployments import DEPLOYMENTS
from tests.kit.refusals import refused
from tests.kit.signing import Signer


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    environment = request.getfixturevalue("service_environment")
    with audited(request.param, environment, webhook_allow_networks="127.0.0.0/8") as started:
        yield started


@pytest.fixture
def catalogue(server):
    api = server.api()
    yield Catalogue(api)
    api.close()


@pytest.fixture
def stub(catalogue):
    return catalogue.api.audit


def update(catalogue, model, **fields):
    request = models_pb2.UpdateModelRequest(
        model=models_pb2.Model(name=model, **fields), update_mask=FieldMask(paths=list(fields))
    )
    return catalogue.api.models.UpdateModel(request)


def creation(parent, model_id, **fields):
    return models_pb2.CreateModelRequest(parent=parent, model_id=model_id, **fields)


def test_a_change_is_told_with_who_how_from_where_and_what(catalogue, stub):
    model = catalogue.model(description="before")
    update(catalogue, model, description="after", tags={"team": "risk"})
    changed, created = entries(stub, catalogue.parent, resource=model)
    assert (changed.actor, changed.authentication, changed.outcome) == ("user:admin", "token", "applied")
    assert (changed.method, changed.resource) == ("ModelService.UpdateModel", model)
    assert changed.peer.startswith("ipv4:127.0.0.1:")
    assert changed.revision > created.revision > 0
    assert changed.index > created.index
    assert (created.before_sha256, changed.before_sha256) == ("", created.after_sha256)
    (event,) = json.loads(changed.changes)
    assert event == {
        "resource": model,
        "action": "updated",
        "fields": [
            {"field": "description", "before": "before", "after": "after"},
            {"field": "tags", "before": {}, "after": {"team": "risk"}},
        ],
    }
    assert not changed.leaf


def test_a_promotion_tells_of_the_version_it_displaced_too(catalogue, stub):
    model = catalogue.model()
    first, second = (catalogue.ready(model, content).name for content in (b"1", b"2"))
    catalogue.bring(first, "production")
    catalogue.bring(second, "production")
    entry = entries(stub, catalogue.parent, method="PromoteVersion")[0]
    moved = {
        (event["resource"], field["field"]): (field.get("before"), field["after"])
        for event in json.loads(entry.changes)
        for field in event["fields"]
    }
    assert moved[first, "stage"] == ("production", "archived")
    assert moved[second, "stage"] == ("staging", "production")


@pytest.mark.promise("P10", "denied")
def test_every_refused_change_of_a_proven_caller_is_told(server, catalogue, stub):
    office = Office(server)
    who = office.bound("viewer", catalogue.parent)
    viewer = who.at(server)
    mine = catalogue.model("mine")
    ids = [request_id() for _ in range(5)]
    refusals = (
        refused(viewer.models.CreateModel, creation(catalogue.parent, "never", request_id=ids[0])),
        refused(catalogue.api.models.CreateModel, creation(catalogue.parent, "NO id", request_id=ids[1])),
        refused(catalogue.api.models.CreateModel, creation(catalogue.parent, "mine", request_id=ids[2])),
        refused(
            catalogue.api.models.DeleteModel,
            models_pb2.DeleteModelRequest(name=f"{catalogue.parent}/models/absent", request_id=ids[3]),
        ),
        refused(
            catalogue.api.models.DeleteModel,
            models_pb2.DeleteModelRequest(name=mine, etag="stale", request_id=ids[4]),
        ),
    )
    assert [each.code for each in refusals] == [
        "PERMISSION_DENIED", "INVALID_ARGUMENT", "ALREADY_EXISTS", "NOT_FOUND", "ABORTED",
    ]  # fmt: skip
    found = told(stub, 5, parent=catalogue.parent, outcome="refused")[::-1]
    assert [(each.outcome, each.request_id) for each in found] == [
        (refusal.reason, one) for refusal, one in zip(refusals, ids, strict=True)
    ]
    assert [each.actor for each in found] == [who.principal, *["user:admin"] * 4]
    assert {(each.revision, each.authentication, each.after_sha256, each.changes) for each in found} == {
        (0, "token", "", "")
    }
    assert all(each.peer and each.resource.startswith(catalogue.parent) for each in found)
    assert entries(stub, catalogue.parent, of_request_id=ids[1]) == [found[1]]
    viewer.close()
    office.close()


def test_what_is_read_leaves_no_entry_refused_or_not(server, catalogue, stub):
    office = Office(server)
    who = office.bound("viewer", catalogue.parent)
    viewer = who.at(server)
    before = entries(stub)[0].index
    assert refused(viewer.audit.ListAuditEntries, audit_pb2.ListAuditEntriesRequest()).code == "PERMISSION_DENIED"
    assert refused(viewer.models.GetModel, models_pb2.GetModelRequest(name=f"{catalogue.parent}/models/x")).reason
    # One that leaves an entry, and stands behind them.
    assert refused(viewer.models.CreateModel, creation(catalogue.parent, "never")).code == "PERMISSION_DENIED"
    told(stub, 1, actor=who.principal)
    assert [each.method for each in entries(stub) if each.index > before] == ["ModelService.CreateModel"]
    viewer.close()
    office.close()


def test_filters_choose_and_pages_go_on(catalogue, stub):
    model, sibling = catalogue.model("m"), catalogue.model("m2")
    update(catalogue, model, description="1")
    catalogue.draft(model)
    methods = [each.method.partition(".")[2] for each in entries(stub, catalogue.parent, resource=model)]
    assert methods == ["CreateVersion", "UpdateModel", "CreateModel"]
    assert [each.resource for each in entries(stub, resource=sibling)] == [sibling]
    assert entries(stub, catalogue.parent, method="ModelService.CreateModel", page_size=1) == entries(
        stub, catalogue.parent, method="CreateModel"
    )
    assert len(entries(stub, catalogue.parent, method="CreateModel")) == 2
    # No wildcards of SQL, no ends of words.
    for method in ("%", "_reateModel", "Model", "eService.CreateModel"):
        assert entries(stub, catalogue.parent, method=method) == []
    assert entries(stub, catalogue.parent, resource=f"{catalogue.parent}/models/_") == []
    found = entries(stub, catalogue.parent)
    assert {each.resource for each in found} == {catalogue.parent, model, sibling}
    middle = found[1].time
    later, earlier = (entries(stub, catalogue.parent, **{bound: middle}) for bound in ("from_time", "to_time"))
    assert later + earlier == found
    assert len(later) == 2
    assert entries(stub, catalogue.parent, actor="user:nobody") == []
    assert entries(stub, catalogue.parent, outcome="applied") == found
    tomorrow = audit_pb2.ListAuditEntriesRequest(parent=catalogue.parent)
    tomorrow.from_time.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    assert list(pages(stub.ListAuditEntries, tomorrow)) == []
    outside = audit_pb2.ListAuditEntriesRequest(parent=catalogue.parent, resource="projects/default/models/m")
    assert refused(stub.ListAuditEntries, outside).fields == ("resource",)


def test_whoever_may_read_a_project_reads_nothing_of_another(server, catalogue, stub):
    catalogue.model()
    office = Office(server)
    auditor = office.bound("admin", catalogue.parent).at(server)
    other = Catalogue(catalogue.api)
    other.model()
    assert entries(auditor.audit, catalogue.parent)
    assert refused(entries, auditor.audit, other.parent).reason == "PROJECT_NOT_FOUND"
    assert refused(entries, auditor.audit).code == "PERMISSION_DENIED"
    assert refused(exported, auditor.audit).code == "PERMISSION_DENIED"
    proof = audit_pb2.GetInclusionProofRequest(index=0)
    assert refused(auditor.audit.GetInclusionProof, proof).code == "PERMISSION_DENIED"
    assert auditor.audit.GetAuditKey(audit_pb2.GetAuditKeyRequest()).verifier_key
    auditor.close()
    office.close()


@pytest.mark.promise("P13", "canaries")
def test_no_secret_is_in_the_trail(server, catalogue, stub):
    office = Office(server)
    who = office.somebody()
    bundle = Signer().bundle({"weights.bin": "0" * 64})
    version = catalogue.ready(catalogue.model(), b"weights").name
    catalogue.api.evidence.AddSignature(evidence_pb2.AddSignatureRequest(parent=version, bundle=bundle))
    made = catalogue.api.webhooks.CreateWebhook(
        webhooks_pb2.CreateWebhookRequest(
            parent=catalogue.parent,
            webhook_id="w",
            webhook=webhooks_pb2.Webhook(url="https://127.0.0.1/hook"),
        )
    )
    catalogue.api.access.RevokeToken(access_pb2.RevokeTokenRequest(name=who.token.name))
    text = "\n".join(line_of(entry) for entry in exported(stub, fresh_checkpoint=True)[0])
    assert "WebhookService.CreateWebhook" in text
    assert "AccessService.RevokeToken" in text
    assert "EvidenceService.AddSignature" in text
    for secret in (who.secret, made.secret, bundle.decode()[:200], "secret_hash", "BEGIN"):
        assert secret
        assert secret not in text
    office.close()


def test_what_changed_is_told_in_full_up_to_16_kib_and_by_digests_above(catalogue, stub):
    model = catalogue.model()
    for size, wanted in ((1000, {"field", "before", "after"}), (15_000, {"field", "before_sha256", "after_sha256"})):
        update(catalogue, model, description="x" * size)
        update(catalogue, model, description="y" * size)
        (event,) = json.loads(entries(stub, catalogue.parent, method="UpdateModel")[0].changes)
        assert [set(field) for field in event["fields"]] == [wanted]


def test_a_page_of_the_largest_entries_is_no_larger_than_clients_take(catalogue, stub):
    model = catalogue.model()
    for at in range(MAX_ENTRIES + 1):
        update(catalogue, model, description=f"{at:08000}")
    request = audit_pb2.ListAuditEntriesRequest(parent=catalogue.parent, method="UpdateModel", page_size=1000)
    first = stub.ListAuditEntries(request)
    assert len(first.entries) == MAX_ENTRIES
    assert first.ByteSize() > 3 << 20
    request.page_token = first.next_page_token
    assert len(stub.ListAuditEntries(request).entries) == 1
    assert exported(stub, fresh_checkpoint=True)[0]
