"""The bundles that OpenSSF Model Signing's own implementation made, judged by ours."""

import hashlib
from datetime import UTC, datetime

import pytest

from registry_grpc.domain.evidence import TrustedSigner, Verdict
from registry_grpc.domain.evidence_names import TrustedSignerName
from registry_grpc.domain.signing.judging import judge, signer_fields
from tests.kit.signing import PUBLIC_KEY, VECTORS

# Within the validity of the certificates: 2025-05-02 to 2035-04-30.
NOW = datetime(2026, 11, 21, tzinfo=UTC)
UNSIGNED = {"model.sig", "ignore-me"}
GOOD = [
    *(
        f"v{version}-{mode}"
        for version in ("0.3.1", "1.0.0", "1.0.1", "1.1.0")
        for mode in ("certificate", "elliptic-key")
    )
]


def signer(signer_id, **given):
    fields = {"public_key": "", "authorities": "", "identity": ""} | given
    name = TrustedSignerName("p", signer_id)
    return TrustedSigner(uid=signer_id, name=name, create_time=NOW, **signer_fields(**fields))


KEY = signer("key", public_key=PUBLIC_KEY)
AUTHORITY = signer("authority", authorities=(VECTORS / "keys" / "ca-cert.pem").read_text())


def files(vector):
    found = (VECTORS / vector).iterdir()
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in found if file.name not in UNSIGNED}


def bundle(vector):
    return (VECTORS / vector / "model.sig").read_bytes()


@pytest.mark.parametrize("vector", GOOD)
def test_bundles_of_the_reference_implementation_are_valid(vector):
    found = judge(bundle(vector), files(vector), [KEY, AUTHORITY], NOW)
    assert (found.verdict, found.failure) == (Verdict.VALID, "")
    assert found.by is (AUTHORITY if vector.endswith("certificate") else KEY)


@pytest.mark.parametrize("vector", GOOD)
def test_they_are_untrusted_where_the_signer_is_not_known(vector):
    assert judge(bundle(vector), files(vector), [], NOW).verdict is Verdict.UNTRUSTED
    other = AUTHORITY if vector.endswith("elliptic-key") else KEY
    assert judge(bundle(vector), files(vector), [other], NOW).verdict is Verdict.UNTRUSTED


@pytest.mark.parametrize("vector", GOOD)
def test_they_fail_for_other_files(vector):
    names = sorted(files(vector))
    changed = files(vector) | {names[0]: "0" * 64}
    found = judge(bundle(vector), changed, [KEY, AUTHORITY], NOW)
    assert (found.verdict, found.failure) == (Verdict.FAILED, f"it signs other bytes of '{names[0]}'")
    more = files(vector) | {"ignore-me": "0" * 64}
    found = judge(bundle(vector), more, [KEY, AUTHORITY], NOW)
    # Some of them signed a lone file, which is not what a directory is.
    assert found.verdict is Verdict.FAILED
    assert found.failure.startswith("it does not sign 'ignore-me'")


def test_what_was_signed_before_1_0_with_its_bug_fails():
    found = judge(bundle("v0.2.0-certificate"), files("v0.2.0-certificate"), [AUTHORITY], NOW)
    assert found.verdict is Verdict.FAILED
    assert "not one by the key of the signing certificate" in found.failure


@pytest.mark.parametrize("version", ["0.3.1", "1.0.0", "1.0.1", "1.1.0"])
def test_sigstore_identities_are_not_verified(version):
    found = judge(bundle(f"v{version}-sigstore"), files(f"v{version}-sigstore"), [KEY, AUTHORITY], NOW)
    assert found.verdict is Verdict.FAILED
    assert "Sigstore identity" in found.failure


def test_certificates_must_be_valid_when_the_bundle_is_added():
    vector = "v1.1.0-certificate"
    late = judge(bundle(vector), files(vector), [AUTHORITY], datetime(2036, 1, 1, tzinfo=UTC))
    assert late.verdict is Verdict.UNTRUSTED


def test_the_identity_is_asked_for():
    vector = "v1.1.0-certificate"
    somebody = signer("somebody", authorities=AUTHORITY.certificate_authorities, identity="email:ada@example.com")
    found = judge(bundle(vector), files(vector), [somebody], NOW)
    assert found.verdict is Verdict.UNTRUSTED
    assert found.signer == "subject:CN=intermediate-ca"
