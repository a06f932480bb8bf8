import json
from pathlib import Path

import pytest

from registry_grpc.server.configuration import SettingsError, load_settings
from registry_grpc.server.issuers import IssuerSettings
from registry_grpc.server.settings import Settings
from registry_grpc.server.worker import settings_text

CORP = {"id": "corp", "issuer": "https://sso.example.org/realms/ml", "audience": "mreg"}


def faults(issuers):
    with pytest.raises(SettingsError) as caught:
        load_settings({}, {"MREG_ISSUERS": issuers if isinstance(issuers, str) else json.dumps(issuers)})
    return "\n".join(caught.value.faults)


def test_issuers_come_from_tables_of_the_file_or_json_of_the_environment(tmp_path):
    path = tmp_path / "mreg.toml"
    path.write_text(
        '[[issuers]]\nid = "corp"\nissuer = "https://sso.example.org"\naudience = "mreg"\ngroups_claim = "groups"\n'
        '[[issuers]]\nid = "k8s"\nissuer = "https://kubernetes.default.svc"\naudience = "mreg"\n'
    )
    found = load_settings({}, {}, path).issuers
    assert [each.id for each in found] == ["corp", "k8s"]
    assert (found[0].username_claim, found[0].groups_claim, found[0].extra_audiences) == ("sub", "groups", "refuse")
    [only] = load_settings({}, {"MREG_ISSUERS": json.dumps([CORP])}, path).issuers
    assert only.issuer == CORP["issuer"]


def test_every_fault_of_every_issuer_is_reported_with_its_place(tmp_path):
    bad = [
        {**CORP, "id": "Corp/1", "jwks_uri": "http://far.example/k", "jwks_file": str(tmp_path / "none")},
        {"id": "k8s", "issuer": "http://far.example", "audience": "mreg", "token_file": __file__},
        {"id": "x", "issuer": "https://x.example", "audiense": "mreg"},
    ]
    text = faults(bad)
    for part in (
        *("MREG_ISSUERS[0]: id: 'Corp/1'", "MREG_ISSUERS[0]: jwks_uri: 'http://far.example/k'", "give one of them"),
        *("none is no file", "MREG_ISSUERS[1]: issuer: 'http://far.example'", "token_file: needs ca_file"),
        *("MREG_ISSUERS[2].audience: Field required", "MREG_ISSUERS[2].audiense: no such setting"),
    ):
        assert part in text


@pytest.mark.parametrize("text", ["{", "5", '{"id": "x"}', "[5]", '"corp"'])
def test_what_is_no_list_of_issuers_is_told_so(text):
    assert "MREG_ISSUERS" in faults(text)


def test_an_issuer_stands_there_once_by_id_and_by_name():
    other = {**CORP, "issuer": "https://other.example"}
    assert "id 'corp' is there twice" in faults([CORP, other])
    assert "is there twice" in faults([CORP, {**CORP, "id": "again"}])


@pytest.mark.parametrize(
    "change",
    [
        *({"algorithms": ["HS256"]}, {"algorithms": ["none"]}, {"algorithms": []}, {"extra_audiences": "maybe"}),
        *({"keep_keys_s": 1}, {"audience": ""}, {"username_claim": ""}, {"issuer": "https://a.example/?x=1"}),
        *({"issuer": "https://u:p@a.example"}, {"issuer": "a.example"}),
    ],
    ids=range(10),
)
def test_what_would_make_an_issuer_less_safe_is_no_setting(change):
    assert "MREG_ISSUERS[0]" in faults([CORP | change])


def test_workers_are_told_of_the_issuers_as_they_are(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("x")
    given = Settings(issuers=(IssuerSettings(**CORP, ca_file=path),), workers=1)
    told = Settings.model_validate(json.loads(settings_text(given)))
    assert told.issuers == given.issuers
    assert told.issuers[0].ca_file == Path(path)
