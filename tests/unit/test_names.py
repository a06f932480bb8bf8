"""Resource names: one grammar, and what is refused by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import (
    ID_PATTERN,
    POINTER_PATTERN,
    ArtifactName,
    ModelName,
    PointerName,
    ProjectName,
    UploadName,
    VersionName,
    is_id,
    is_manifest_digest,
    is_pointer_id,
)

IDS = st.from_regex(ID_PATTERN, fullmatch=True)
HOSTILE = ("", ".", "..", "a/b", "A", "-a", "a-", "a" * 64, "a\n", "a\0", "\u0430", "a\u200b", "\u0661", "a b", "%2e")
UUID = "3f2b8c1e-5a44-4c2e-9d0b-7a1c2e3d4f50"


@given(IDS, IDS, st.integers(1, 10**18 - 1), st.from_regex(POINTER_PATTERN, fullmatch=True))
def test_names_come_back_from_their_text(project, model, number, stage):
    for name in (
        ProjectName(project),
        ModelName(project, model),
        VersionName(project, model, number),
        ArtifactName(project, model, number, "a" * 26),
        UploadName(project, UUID),
    ):
        assert type(name).parse(str(name)) == name
    pointer = PointerName(project, model, "stages", stage)
    assert PointerName.parse_stage(str(pointer)) == pointer
    assert VersionName(project, model, number).parent.version(number) == VersionName(project, model, number)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_ids_are_no_ids(text):
    assert not is_id(text)
    assert not is_pointer_id(text)
    with pytest.raises(RegistryError) as caught:
        ModelName.parse(f"projects/default/models/{text}", "parent")
    assert caught.value.reason is Reason.INVALID_RESOURCE_NAME
    assert caught.value.violations[0].subject == "parent"
    assert caught.value.facts["pattern"] == ModelName.FORM


@pytest.mark.parametrize("number", ["0", "01", "-1", "+1", "1.0", "9" * 19, "latest", "", "٣", "1\n"])
def test_what_is_no_version_number_is_refused(number):
    with pytest.raises(RegistryError):
        VersionName.parse(f"projects/p/models/m/versions/{number}")


def test_an_id_of_digits_names_a_model_and_never_a_stage_or_alias():
    assert is_id("7")
    assert not is_pointer_id("7")
    assert not is_pointer_id("7a")
    assert is_pointer_id("a7")


def test_a_manifest_digest_is_sha256_in_lower_case():
    assert is_manifest_digest("sha256:" + "0" * 64)
    for text in (
        "0" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 63,
        "sha512:" + "0" * 64,
        "sha256:" + "0" * 64 + "\n",
    ):
        assert not is_manifest_digest(text)


def test_a_long_name_is_cut_in_the_error():
    with pytest.raises(RegistryError) as caught:
        ModelName.parse("x" * 100_000)
    assert len(caught.value.message) < 500
