"""References people type: every form, and what is none."""

import pytest

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ModelName
from registry_grpc.domain.references import Reference, parse_reference

DIGEST = "sha256:" + "ab" * 32
FRAUD, TEAM = ModelName("default", "fraud"), ModelName("team", "fraud")
FORMS = {
    "fraud": Reference(FRAUD),
    "fraud/7": Reference(FRAUD, number=7),
    "fraud@production": Reference(FRAUD, pointer="production"),
    "fraud@latest": Reference(FRAUD, pointer="latest"),
    f"fraud/7@{DIGEST}": Reference(FRAUD, number=7, digest=DIGEST),
    f"fraud@{DIGEST}": Reference(FRAUD, digest=DIGEST),
    "team:fraud@champion": Reference(TEAM, pointer="champion"),
    "mreg://team/fraud": Reference(TEAM),
    "mreg://team/fraud/7": Reference(TEAM, number=7),
    "mreg://host:7470/team/fraud@champion": Reference(TEAM, pointer="champion", endpoint="host:7470"),
    f"mreg://[::1]:7470/team/fraud/7@{DIGEST}": Reference(TEAM, number=7, digest=DIGEST, endpoint="[::1]:7470"),
}
NONE = (
    "",
    "Fraud",
    "fraud/",
    "fraud/0",
    "fraud/07",
    "fraud@",
    "fraud@7",
    "fraud@Prod",
    "fraud/7@production",
    "fraud@sha256:ab",
    "fraud/7/8",
    "fraud:",
    ":fraud",
    "a:b:c",
    " fraud",
    "fraud\n",
    "../fraud",
    "mreg://fraud",
    "mreg://host/team/fraud",
    "mreg://host:/team/fraud",
    "mreg://host:123456/team/fraud",
    "http://host:1/team/fraud",
    "fr\u0430ud",
    "x" * 100_000,
)


@pytest.mark.parametrize("text", FORMS)
def test_every_form_is_read(text):
    assert parse_reference(text) == FORMS[text]


@pytest.mark.parametrize("text", [text for text in FORMS if not text.startswith("mreg://")])
def test_short_forms_come_back_as_they_were(text):
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize("text", NONE, ids=range(len(NONE)))
def test_what_is_no_reference_is_refused_with_the_forms(text):
    with pytest.raises(RegistryError) as caught:
        parse_reference(text)
    assert caught.value.reason is Reason.INVALID_FIELD
    assert "model@production" in caught.value.message
    assert len(caught.value.message) < 600


def test_the_project_left_out_is_the_callers():
    assert parse_reference("fraud", "team") == Reference(TEAM)
    assert parse_reference("mreg://default/fraud", "team") == Reference(FRAUD)
