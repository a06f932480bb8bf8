"""`mreg audit` against a real server, and offline."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

from registry_grpc.client import InvalidArgument, NotFound, PermissionDenied, Registry
from tests.kit.waiting import until


@pytest.fixture
def registry(server):
    with Registry(server.endpoint, token=server.token) as registry:
        yield registry


def entries(connected, *options):
    done = connected("audit", "list", *options, "-o", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_change_is_told_with_who_how_from_where_and_what(connected, registry):
    registry.create_model("told", description="before")
    registry.update_model("told", description="after")
    (entry,) = entries(connected, "--method", "UpdateModel", "--resource", "projects/default/models/told")
    assert (entry["actor"], entry["authentication"], entry["outcome"]) == ("user:admin", "token", "applied")
    assert entry["peer"].startswith("ipv4:127.0.0.1:")
    assert entry["method"] == "ModelService.UpdateModel"
    assert entry["before_sha256"] != entry["after_sha256"]
    (changed,) = json.loads(entry["changes"])
    assert changed["fields"] == [{"field": "description", "before": "before", "after": "after"}]
    assert changed["resource"] == "projects/default/models/told"


def test_every_refused_change_of_a_proven_caller_is_told(connected, registry):
    registry.create_model("refused")
    registry.create_service_account("reader")
    token = registry.issue_token("reader").secret
    registry.create_role_binding("roles/viewer", ["serviceAccount:default/reader"], scope="projects/default")
    with Registry(registry.endpoint, token=token) as reader:
        until(lambda: _may_read(reader), 30)
        with pytest.raises(PermissionDenied):
            reader.create_model("never")
        with pytest.raises(PermissionDenied):
            reader.audit.checkpoint()
    with pytest.raises(NotFound):
        registry.delete_model("absent")
    with pytest.raises(InvalidArgument):
        registry.create_model("long", owner="x" * 300)
    wanted = {"PERMISSION_MISSING", "MODEL_NOT_FOUND", "INVALID_FIELD"}
    until(
        lambda: wanted <= {entry["outcome"] for entry in entries(connected, "--registry", "--outcome", "refused")}, 30
    )
    denied = entries(connected, "--actor", "serviceAccount:default/reader")
    # What only reads leaves none.
    assert [(each["method"], each["outcome"]) for each in denied] == [
        ("ModelService.CreateModel", "PERMISSION_MISSING")
    ]


def _may_read(reader):
    try:
        return reader.get_model("refused")
    except (PermissionDenied, NotFound):
        return None


def test_filters_and_pages(connected, registry):
    for number in range(5):
        registry.create_model(f"page-{number}")
    inside = entries(connected, "--resource", "projects/default", "--method", "CreateModel", "--limit", "5")
    assert [each["resource"].rpartition("/")[2] for each in inside] == [f"page-{number}" for number in (4, 3, 2, 1, 0)]
    found = list(registry.audit.list(resource="projects/default", page_size=2))
    assert [each.index for each in found] == sorted((each.index for each in found), reverse=True)
    assert entries(connected, "--resource", "projects/default/models/page") == []
    assert entries(connected, "--since", f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}") == []
    assert entries(connected, "--until", "2001-01-01") == []
    with pytest.raises(InvalidArgument):
        list(registry.audit.list("projects/default", resource="projects/other/models/m"))


def test_an_export_is_verified_offline(connected, mreg, registry, tmp_path, monkeypatch):
    registry.create_model("exported")
    key, kept, export = (tmp_path / name for name in ("audit.pub", "old.note", "export.jsonl"))
    assert connected("audit", "export", export, "--fresh").code == 0
    key.write_text(connected("audit", "key").out)
    kept.write_text(connected("audit", "checkpoint").out)
    registry.create_model("exported-too")
    assert connected("audit", "export", export, "--fresh").code == 0
    monkeypatch.delenv("MREG_ENDPOINT")

    good = mreg("audit", "verify", export, "--key", key, "--checkpoint", kept)
    count = len(export.read_text().splitlines()) - 1
    assert (good.code, good.out) == (0, f"OK {count} entries\n")
    lines = export.read_text().splitlines()
    bad = tmp_path / "bad.jsonl"
    bad.write_text("\n".join([*lines[:2], lines[2].replace("user:admin", "user:mallory"), *lines[3:]]))
    found = mreg("audit", "verify", bad, "--key", key)
    assert (found.code, found.out) == (1, "BAD entry 2: actor is 'user:mallory'; its leaf says 'user:admin'\n")
    assert mreg("audit", "verify", export, "--key", "nonsense+1+x").code == 2


def test_a_proof_is_checked_against_the_signed_checkpoint(connected, registry, tmp_path):
    list(registry.audit.export(fresh_checkpoint=True))
    key = registry.audit.key().verifier_key
    done = connected("audit", "prove", "0", "--key", key, "-o", "json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["method"] == "Registry.Bootstrap"
    size = registry.audit.checkpoint().size
    assert connected("audit", "prove", str(size + 10_000), "--key", key).code == 3
    assert next(each.size for each in registry.audit.checkpoints()) == size
    with pytest.raises(InvalidArgument):
        registry.audit.prove_consistency(size + 10_000)
    assert registry.audit.prove_consistency(size).second_size >= size


def test_an_export_needs_no_cryptography_and_its_verification_says_that_it_does(connected, mreg, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "registry_grpc.domain.notes", None)
    monkeypatch.delitem(sys.modules, "registry_grpc.cli.audit_files", raising=False)
    assert connected("audit", "export", tmp_path / "export.jsonl").code == 0
    refused = mreg("audit", "verify", tmp_path / "export.jsonl", "--key", "log+00000000+AQ==")
    assert (refused.code, "registry-grpc[signing]" in refused.err) == (2, True)
