"""`mreg sign`, `verify`, `scan`, `evidence`, `signatures` and `signers` against a real server."""

import json
import pickle
import shutil
import sys
from pathlib import Path

import pytest

from tests.kit.catalogue import Catalogue, new_id
from tests.kit.signing import Signer, issued

BAD = b"cos\nsystem\n(S'true'\ntR."
"""A pickle that runs a program when it is loaded."""


@pytest.fixture
def project(server, monkeypatch):
    catalogue = Catalogue(server.api())
    monkeypatch.setenv("MREG_PROJECT", catalogue.parent.removeprefix("projects/"))
    yield catalogue
    catalogue.api.close()


@pytest.fixture
def keys(tmp_path):
    """A directory with a key pair."""
    mine = Signer()
    (tmp_path / "key.pem").write_bytes(mine.private)
    (tmp_path / "pub.pem").write_text(mine.public)
    return tmp_path


def shown(result, code=0):
    assert result.code == code, result.err
    return json.loads(result.out)


def test_a_version_is_signed_and_verified(connected, project, tree, keys):
    assert connected("push", tree, "fraud").code == 0
    assert connected("verify", "fraud/1").code == 7
    early = shown(connected("sign", "fraud/1", "--key", keys / "key.pem", "-o", "json"), 7)
    assert early["verdict"] == "VERDICT_UNTRUSTED"
    assert connected("signers", "create", "ci", "--key", keys / "pub.pem").code == 0
    made = shown(connected("sign", "fraud/1", "--key", keys / "key.pem", "-o", "json"))
    assert made["verdict"] == "VERDICT_VALID"
    verified = connected("verify", "fraud/1")
    assert (verified.code, "valid" in verified.out) == (0, True)
    assert "untrusted" in connected("signatures", "list", "fraud/1").out
    assert "ci" in connected("signers", "list").out
    # The bundle goes with the files, and needs no registry.
    bundle = keys / "model.sig"
    bundle.write_text(connected("signatures", "bundle", made["name"]).out)
    here = shown(connected("verify", tree, "--bundle", bundle, "--key", keys / "pub.pem"))
    assert here["verdict"] == "valid"
    assert connected("signatures", "add", "fraud/1", bundle, "-o", "json").code == 0
    (tree / "config.json").write_text("changed")
    spoiled = shown(connected("verify", tree, "--bundle", bundle, "--key", keys / "pub.pem"), 7)
    assert spoiled == {
        "verdict": "failed",
        "signer": here["signer"],
        "failure": "it signs other bytes of 'config.json'",
    }
    assert connected("signers", "delete", "ci").code == 0
    assert connected("verify", "fraud/1").code == 7


def test_a_directory_is_verified_with_authorities(mreg, tree, tmp_path, monkeypatch):
    from registry_grpc.cli.signing import _sha256
    from registry_grpc.client.signing import make_bundle
    from registry_grpc.client.tree import collect

    monkeypatch.setenv("MREG_ENDPOINT", "127.0.0.1:1")
    chain = issued()
    for name, content in (("key", chain.key), ("chain", chain.certificates), ("root", chain.root.encode())):
        (tmp_path / name).write_bytes(content)
    files = {file.path: _sha256(file.source) for file in collect(tree)}
    # Also when it lies among the files, as other signers put it.
    bundle = tree / "model.sig"
    bundle.write_bytes(make_bundle("m", files, tmp_path / "key", certificates=tmp_path / "chain"))
    given = ("verify", tree, "--bundle", bundle, "--authorities", tmp_path / "root")
    assert shown(mreg(*given))["verdict"] == "valid"
    assert shown(mreg(*given, "--identity", "email:eve@example.com"), 7)["verdict"] == "untrusted"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("verify", "fraud/1", "--key", "x"), "--bundle"),
        (("verify", "nowhere", "--bundle", "x", "--key", "x"), "no directory"),
        (("signers", "create", "x"), "--key or --authorities"),
        (("sign", "fraud/1", "--key", "absent.pem"), "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(connected, project, tree, arguments, says):
    connected("push", tree, "fraud")
    refused = connected(*arguments)
    assert refused.code == 2
    assert says in refused.err


def test_evidence_of_ci(connected, project, tree, tmp_path):
    connected("push", tree, "fraud")
    report = tmp_path / "report.xml"
    report.write_text("<tests/>")
    given = ("--kind", "test", "--tool", "pytest", "--outcome", "failed", "--findings", "2", "--report", report)
    made = shown(connected("evidence", "add", "fraud/1", *given, "--annotation", "commit=abc", "-o", "json"))
    assert made["outcome"] == "EVIDENCE_OUTCOME_FAILED"
    assert (made["findings"], made["annotations"], len(made["report_sha256"])) == (2, {"commit": "abc"}, 64)
    assert shown(connected("evidence", "list", "fraud/1", "--kind", "test", "-o", "json")) == [made]
    assert shown(connected("evidence", "list", "fraud/1", "--kind", "scan", "-o", "json")) == []
    assert "pytest" in connected("evidence", "show", made["name"]).out
    gone = made["name"].rpartition("/")[0] + "/00000000-0000-4000-8000-000000000000"
    assert connected("evidence", "show", gone).code == 3


def test_a_scan_of_files_is_evidence(connected, project, tmp_path):
    tree = tmp_path / "scanned"
    tree.mkdir()
    (tree / "good.pkl").write_bytes(pickle.dumps({"a": [1, 2]}))
    connected("push", tree, "fraud")
    good = shown(connected("scan", "fraud/1", "-o", "json"))
    assert (good["kind"], good["tool"]) == ("EVIDENCE_KIND_SCAN", "picklescan")
    assert good["outcome"] == "EVIDENCE_OUTCOME_PASSED"
    assert good["tool_version"]
    (tree / "bad.pkl").write_bytes(BAD)
    connected("push", tree, "fraud")
    bad = shown(connected("scan", "fraud/2", "-o", "json"), 7)
    assert (bad["outcome"], bad["findings"]) == ("EVIDENCE_OUTCOME_FAILED", 1)
    assert "bad.pkl" in bad["summary"]
    assert str(tmp_path) not in bad["summary"]
    assert [each["findings"] for each in shown(connected("evidence", "list", "fraud/2", "-o", "json"))] == [1]


def test_a_scanner_that_ends_early_is_inconclusive(connected, project, tree, tmp_path, monkeypatch):
    connected("push", tree, "fraud")
    stand_in = tmp_path / "bin" / "modelscan"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\necho no sum\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(stand_in.parent), prepend=":")
    assert shown(connected("scan", "fraud/1", "--tool", "modelscan", "-o", "json"), 7)["outcome"].endswith(
        "INCONCLUSIVE"
    )


def test_a_scanner_that_is_not_there_is_named(connected, project, tree, monkeypatch):
    if Path(sys.executable).with_name("modelscan").exists():
        pytest.fail("the tests' environment has modelscan; look for another one that it has not")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    connected("push", tree, new_id("m"))
    refused = connected("scan", "fraud/1", "--tool", "modelscan")
    assert (refused.code, "not installed" in refused.err) == (2, True)
