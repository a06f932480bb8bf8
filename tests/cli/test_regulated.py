"""Two people and a service account of CI bring a version to production; `docs/governance.md` shows what they saw.

`MREG_WRITE_DOCS=1 pytest tests/cli/test_regulated.py` writes the block anew.
"""

import os
import re
import shlex
from pathlib import Path

import pytest

from registry_grpc.v1 import access_pb2, projects_pb2
from tests.kit.access import Office

PAGE = Path(__file__).parents[2] / "docs" / "governance.md"
BEGIN, END = "<!-- transcript: begin -->\n", "<!-- transcript: end -->\n"
POLICY = """\
display_name: Four eyes
stages: [production]
rules:
  - id: card
    required_fields: {paths: [owner, model_card]}
  - id: four-eyes
    description: Ask two approvers; mreg requests create.
    approvals: {count: 2, roles: [roles/approver]}
"""
VERSION = """\
owner: risk-team
model_card: "# Fraud\\n\\nRecall 0.91 on the rows of June."
"""
CI, ADA, BOB = "serviceAccount:shop/ci", "user:ada", "user:bob"
STEPS = (
    ("admin", "mreg policies apply four-eyes four-eyes.yaml"),
    ("ci", "mreg push ./model fraud --metadata fraud.yaml"),
    ("ci", "mreg promote fraud/1 --to staging --reason 'tests passed'"),
    ("ci", "mreg promote fraud/1 --to production"),
    ("ci", "mreg requests create fraud/1 --to production --reason 'recall up 2 points'"),
    ("ci", "mreg requests approve fraud/1"),
    ("ada", "mreg requests approve fraud/1 -m 'report read'"),
    ("ada", "mreg promote fraud/1 --to production"),
    ("bob", "mreg requests reject fraud/1 -m 'who is on call?'"),
    ("ada", "mreg requests comment fraud/1 'I am, until Monday'"),
    ("bob", "mreg requests approve fraud/1 -m 'good'"),
    ("ci", "mreg stages evaluate fraud/1 --to production"),
    ("ci", "mreg requests commit fraud/1"),
    ("ci", "mreg history fraud production"),
)
VOLATILE = (
    (re.compile(r"sha256:[0-9a-f]{12,64}…?"), "sha256:…"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?"), lambda found: "2026-07-01 12:00:00"[: len(found[0])]),
    (re.compile(r"(etag +)\S+"), r"\1…"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


@pytest.fixture
def tokens(server):
    office = Office(server)
    office.api.projects.CreateProject(projects_pb2.CreateProjectRequest(project_id="shop"))
    account = access_pb2.CreateServiceAccountRequest(parent="projects/shop", service_account_id="ci")
    office.api.access.CreateServiceAccount(account)
    for who, roles in ((CI, ("contributor", "deployer")), (ADA, ("approver",)), (BOB, ("approver",))):
        for role in roles:
            office.bind(role, "projects/shop", who)
    yield {"admin": server.token} | {
        name: office.issue(who).secret for name, who in (("ci", CI), ("ada", ADA), ("bob", BOB))
    }
    office.close()


def settled(text):
    """What is the same in every run."""
    for pattern, instead in VOLATILE:
        text = pattern.sub(instead, text)
    return text


def test_the_transcript_of_the_documentation_is_what_happens(connected, tokens, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MREG_PROJECT", "shop")
    monkeypatch.setenv("COLUMNS", "110")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(b"weights" * 100)
    (tmp_path / "four-eyes.yaml").write_text(POLICY)
    (tmp_path / "fraud.yaml").write_text(VERSION)
    told = []
    for who, line in STEPS:
        monkeypatch.setenv("MREG_TOKEN", tokens[who])
        result = connected(*shlex.split(line)[1:])
        printed = (result.out + result.err).rstrip()
        ended = f"\n(exit code {result.code})" if result.code else ""
        told.append(f"{who}$ {line}\n{printed}{ended}\n")
    found = "```console\n" + settled("\n".join(told)) + "```\n"
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    block, _, after = rest.partition(END)
    if os.environ.get("MREG_WRITE_DOCS"):
        PAGE.write_text(f"{before}{BEGIN}{found}{END}{after}")
    else:
        assert block == found
