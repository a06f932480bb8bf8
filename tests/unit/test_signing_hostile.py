"""Bundles that must not count: rows 71 and 72 of the hostile inputs, and what else can be wrong with one."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.signing import make_bundle
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.evidence import MAX_BUNDLE_BYTES, TrustedSigner, Verdict
from registry_grpc.domain.evidence_names import TrustedSignerName
from registry_grpc.domain.signing.bundle import require_bundle
from registry_grpc.domain.signing.judging import MAX_FAILURE, judge, signer_fields
from tests.kit.signing import Signer, issued, resign

pytestmark = pytest.mark.promise("P14", "signature bundles")
NOW = datetime.now(UTC)
MINE = Signer()
FILES = {"config.json": "a" * 64, "weights/w.bin": "b" * 64}


def trusted(public_key="", authorities="", identity=""):
    name = TrustedSignerName("p", "s")
    return TrustedSigner(uid="s", name=name, create_time=NOW, **signer_fields(public_key, authorities, identity))


def judged(bundle, files=FILES, signers=None):
    return judge(bundle, files, [trusted(MINE.public)] if signers is None else signers, NOW)


def statement(**changes):
    return lambda made: made.update(changes)


def serialization_of(**changes):
    return lambda made: made["predicate"]["serialization"].update(changes)


def resources(change):
    def changed(made):
        made["predicate"]["resources"] = change(made["predicate"]["resources"])
        resign(made)

    return changed


def envelope(**changes):
    return lambda made: made["dsseEnvelope"].update(changes)


def twice(text):
    return text.replace(b'"_type"', b'"_type": "https://in-toto.io/Statement/v0.1", "_type"', 1)


def test_a_good_one_is_valid():
    found = judged(MINE.bundle(FILES))
    assert (found.verdict, found.failure) == (Verdict.VALID, "")
    assert found.signer.startswith("key:")


SIGNED_WRONGLY = {
    "71 wrong predicate": (statement(predicateType="https://slsa.dev/provenance/v1"), "predicateType"),
    "71 v0.1": (statement(predicateType="https://model_signing/Digests/v0.1"), "predicateType"),
    "71 extra file": (
        resources(lambda all_: [*all_, {"name": "x", "algorithm": "sha256", "digest": "c" * 64}]),
        "it signs 'x', not in the version",
    ),
    "71 missing file": (resources(lambda all_: all_[:1]), "it does not sign 'weights/w.bin'"),
    "71 ignore_paths hiding a file": (
        lambda made: (
            serialization_of(ignore_paths=["weights/w.bin", "weights"])(made),
            resources(lambda all_: all_[:1])(made),
        ),
        "it does not sign 'weights/w.bin'",
    ),
    "71 symlinks true": (serialization_of(allow_symlinks=True), "allow_symlinks"),
    "other method": (serialization_of(method="shards", shard_size=1000), "method"),
    "other hash": (serialization_of(hash_type="blake2b"), "hash_type"),
    "no serialization": (lambda made: made["predicate"].pop("serialization"), "serialization"),
    "ignore_paths of numbers": (serialization_of(ignore_paths=[1]), "ignore_paths"),
    "root digest of other resources": (
        lambda made: made["subject"][0]["digest"].update(sha256="0" * 64),
        "its resources",
    ),
    "two subjects": (lambda made: made["subject"].append(made["subject"][0]), "one subject"),
    "a resource twice": (resources(lambda all_: [*all_, all_[0]]), "twice"),
    "no resources": (resources(lambda _: []), "no resources"),
    "upper case digest": (
        resources(lambda all_: [each | {"digest": each["digest"].upper()} for each in all_]),
        "SHA-256",
    ),
    "resource by another algorithm": (
        resources(lambda all_: [each | {"algorithm": "blake3"} for each in all_]),
        "algorithm",
    ),
    "path that climbs": (
        resources(lambda all_: [each | {"name": f"../{each['name']}"} for each in all_]),
        "does not sign",
    ),
    "lone surrogate": (resources(lambda all_: [all_[0] | {"name": "\ud800"}, all_[1]]), "does not sign"),
    "other statement": (statement(_type="https://in-toto.io/Statement/v0.1"), "in-toto statement"),
}


@pytest.mark.parametrize("row", SIGNED_WRONGLY)
def test_what_is_signed_but_not_this_version_fails(row):
    change, said = SIGNED_WRONGLY[row]
    found = judged(MINE.bundle(FILES, change=change))
    assert found.verdict is Verdict.FAILED
    assert said in found.failure
    assert found.failure.isascii()
    assert len(found.failure) <= MAX_FAILURE


ENVELOPES = {
    "72 two signatures": lambda made: made["dsseEnvelope"]["signatures"].append(made["dsseEnvelope"]["signatures"][0]),
    "72 no signature": envelope(signatures=[]),
    "72 other payloadType": envelope(payloadType="application/json"),
    "72 base64 without padding": lambda made: envelope(payload=made["dsseEnvelope"]["payload"].rstrip("=") + "\n")(
        made
    ),
    "72 base64 of the URL": lambda made: made["dsseEnvelope"]["signatures"][0].update(
        sig=base64.urlsafe_b64encode(b"\xff\xfe\xfd" * 24).decode()
    ),
    "72 base64 with idle bits": envelope(payload="e31="),
    "empty payload": envelope(payload=""),
    "payload of a number": envelope(payload=1),
    "more in the envelope": envelope(more=1),
    "more in the signature": lambda made: made["dsseEnvelope"]["signatures"][0].update(alg="none"),
    "other media type": lambda made: made.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
    "no material": lambda made: made.update(verificationMaterial={}),
    "both materials": lambda made: made["verificationMaterial"].update(x509CertificateChain={"certificates": []}),
    "no certificates": lambda made: made.update(verificationMaterial={"x509CertificateChain": {"certificates": []}}),
    "certificates that are none": lambda made: made.update(
        verificationMaterial={"x509CertificateChain": {"certificates": [{"rawBytes": "AAAA"}]}}
    ),
    "a hint of a number": lambda made: made["verificationMaterial"].update(publicKey={"hint": 7}),
    "signature of garbage": lambda made: made["dsseEnvelope"]["signatures"][0].update(sig="AAAA"),
}


@pytest.mark.parametrize("row", ENVELOPES)
def test_a_broken_envelope_fails(row):
    found = judged(MINE.bundle(FILES, after=ENVELOPES[row]))
    assert found.verdict is Verdict.FAILED
    assert found.failure


def test_72_keys_that_come_twice_fail_wherever_they_are():
    inside = judged(MINE.bundle(FILES, payload=twice))
    assert (inside.verdict, "'_type' twice" in inside.failure) == (Verdict.FAILED, True)
    outside = MINE.bundle(FILES).replace(b'"keyid": ""', b'"keyid": "", "keyid": ""')
    found = judged(outside)
    assert (found.verdict, "'keyid' twice" in found.failure) == (Verdict.FAILED, True)


def test_71_another_key_under_a_trusted_hint_fails():
    hint = {"publicKey": {"hint": hashlib.sha256(MINE.public.encode()).hexdigest()}}
    found = judged(Signer().bundle(FILES, material=hint))
    assert found.verdict is Verdict.FAILED
    assert "not one by the key of projects/p/trustedSigners/s" in found.failure


def test_another_key_is_untrusted_with_or_without_a_hint():
    other = Signer()
    assert judged(other.bundle(FILES)).verdict is Verdict.UNTRUSTED
    assert judged(other.bundle(FILES, material={"publicKey": {}})).verdict is Verdict.UNTRUSTED
    assert judged(MINE.bundle(FILES, material={"publicKey": {}})).verdict is Verdict.VALID


NO_BUNDLES = {
    "nothing": b"",
    "no JSON": b"hello",
    "a list": b"[]",
    "another object": b'{"a": 1}',
    "not UTF-8": b'{"mediaType": "\xff"}',
    "deep": b"[" * 100_000,
    "a number of 100000 digits": b"1" * 100_000,
    "NaN": b'{"mediaType": NaN, "verificationMaterial": 1, "dsseEnvelope": 1}',
    "71 larger than the limit": b" " * (MAX_BUNDLE_BYTES + 1),
    "71 100 MB": b'{"mediaType": "' + b"x" * 100_000_000 + b'"}',
}


@pytest.mark.parametrize("row", NO_BUNDLES)
def test_what_is_no_bundle_is_refused(row):
    with pytest.raises(RegistryError) as caught:
        require_bundle(NO_BUNDLES[row])
    assert caught.value.reason is Reason.INVALID_FIELD
    assert caught.value.violations[0].subject == "bundle"
    assert len(caught.value.message) < 300


def test_a_payload_that_is_deep_or_no_text_fails():
    for payload in (b"[" * 100_000, b"\xff\xfe", b"[]", b"1", b'"x"', b'{"_type": Infinity}'):
        assert judged(MINE.bundle(FILES, payload=lambda _, text=payload: text)).verdict is Verdict.FAILED


def test_a_file_that_was_signed_alone_is_that_file():
    def alone(made):
        made["subject"][0]["name"] = "w.bin"
        made["predicate"]["resources"] = [{"name": ".", "algorithm": "sha256", "digest": "b" * 64}]
        resign(made)

    bundle = MINE.bundle(FILES, change=alone)
    assert judged(bundle, {"weights/w.bin": "b" * 64}).verdict is Verdict.VALID
    assert judged(bundle, {"other.bin": "b" * 64}).verdict is Verdict.FAILED
    assert judged(bundle).verdict is Verdict.FAILED


def signed_by(tmp_path, chain):
    """A bundle by the last one of a chain of certificates."""
    (tmp_path / "key").write_bytes(chain.key)
    (tmp_path / "chain").write_bytes(chain.certificates)
    return make_bundle("m", FILES, tmp_path / "key", certificates=tmp_path / "chain")


CHAINS = {
    "straight": (issued(), Verdict.VALID, ""),
    "by way of two others": (issued(between=2), Verdict.VALID, ""),
    "with the purpose alone": (issued(purpose="code"), Verdict.VALID, ""),
    "for anything but signing": (issued(purpose=""), Verdict.FAILED, "codeSigning"),
    "of yesterday": (
        issued(began=timedelta(days=3), lasts=timedelta(days=1)),
        Verdict.UNTRUSTED,
        "fit the certificate",
    ),
    "of tomorrow": (issued(began=timedelta(days=-1)), Verdict.UNTRUSTED, "fit the certificate"),
    "by one that is no authority": (issued(between=1, authority=False), Verdict.UNTRUSTED, "fit the certificate"),
    "with a gap": (issued(between=2, sent=1), Verdict.UNTRUSTED, "fit the certificate"),
}


@pytest.mark.parametrize("row", CHAINS)
def test_a_chain_of_certificates(tmp_path, row):
    chain, verdict, said = CHAINS[row]
    found = judged(signed_by(tmp_path, chain), signers=[trusted(authorities=chain.root)])
    assert (found.verdict, said in found.failure) == (verdict, True)
    assert found.signer == ("uri:spiffe://ci/train" if verdict is not Verdict.FAILED else "")


def test_an_authority_that_is_not_trusted_counts_for_nothing(tmp_path):
    chain, other = issued(), issued()
    found = judged(signed_by(tmp_path, chain), signers=[trusted(authorities=other.root)])
    assert found.verdict is Verdict.UNTRUSTED
    # Nor does one that comes along in the bundle.
    chain = issued(with_root=True)
    assert judged(signed_by(tmp_path, chain), signers=[trusted(authorities=other.root)]).verdict is Verdict.UNTRUSTED
    assert judged(signed_by(tmp_path, chain), signers=[trusted(authorities=chain.root)]).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("identity", "verdict"),
    [
        ("uri:spiffe://ci/train", Verdict.VALID),
        ("email:ci@example.com", Verdict.VALID),
        ("uri:spiffe://ci/", Verdict.UNTRUSTED),
        ("dns:spiffe://ci/train", Verdict.UNTRUSTED),
    ],
)
def test_the_identity_is_compared_as_a_whole(tmp_path, identity, verdict):
    chain = issued()
    found = judged(signed_by(tmp_path, chain), signers=[trusted(authorities=chain.root, identity=identity)])
    assert found.verdict is verdict
    assert found.signer == (identity if verdict is Verdict.VALID else "uri:spiffe://ci/train")


def test_the_certificate_of_another_key_fails(tmp_path):
    chain, other = issued(), issued()
    bundle = json.loads(signed_by(tmp_path, chain))
    bundle["dsseEnvelope"] = json.loads(signed_by(tmp_path, other))["dsseEnvelope"]
    found = judged(json.dumps(bundle).encode(), signers=[trusted(authorities=chain.root)])
    assert found.verdict is Verdict.FAILED
    (tmp_path / "key").write_bytes(MINE.private)
    with pytest.raises(InvalidArgument):
        make_bundle("m", FILES, tmp_path / "key", certificates=tmp_path / "chain")


KEYS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


def pems(key, password=b""):
    cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private, key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


@pytest.mark.parametrize("kind", KEYS)
def test_bundles_of_the_sdk_are_valid_with_every_kind_of_key(tmp_path, kind):
    private, public = pems(KEYS[kind](), b"secret")
    (tmp_path / "key").write_bytes(private)
    made = make_bundle("m", FILES, tmp_path / "key", password="secret")
    assert judged(made, signers=[trusted(public)]).verdict is Verdict.VALID
    assert judged(made, FILES | {"x": "0" * 64}, [trusted(public)]).verdict is Verdict.FAILED
    for wrong in (None, "other"):
        with pytest.raises(InvalidArgument):
            make_bundle("m", FILES, tmp_path / "key", password=wrong)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"public_key": MINE.public, "authorities": "x"},
        {"public_key": "x"},
        {"public_key": MINE.private.decode()},
        {"public_key": pems(rsa.generate_private_key(65537, 1024))[1]},  # noqa: S505 -- it is refused
        {"public_key": pems(ec.generate_private_key(ec.SECP256K1()))[1]},
        {"authorities": "x"},
        {"public_key": MINE.public, "identity": "uri:x:y"},
    ],
)
def test_signers_that_are_none_are_refused(given):
    with pytest.raises(RegistryError) as caught:
        trusted(**given)
    assert caught.value.reason is Reason.INVALID_FIELD
    assert "PRIVATE" not in caught.value.message


def test_judging_ten_thousand_files_takes_no_time():
    many = {f"shards/{number:05}.bin": hashlib.sha256(b"%d" % number).hexdigest() for number in range(10_000)}
    bundle = MINE.bundle(many)
    assert len(bundle) < MAX_BUNDLE_BYTES
    began = datetime.now(UTC)
    assert judged(bundle, many).verdict is Verdict.VALID
    assert datetime.now(UTC) - began < timedelta(seconds=10)
    assert json.loads(bundle)["dsseEnvelope"]
