"""Every known way to be believed by a JWT that should not be."""

import hashlib
import hmac
import json
import time

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry_grpc.auth.issuer_keys import IssuerKeys
from registry_grpc.auth.jwks import parse_keys
from registry_grpc.auth.oidc import OidcVerifier, TrustedIssuer
from registry_grpc.domain.errors import Reason, RegistryError
from tests.kit.jwts import DROPPED, Forger, ec_key, ed_key, encoded, jwks, rsa_key

URL = "https://issuer.example"
RSA, OTHER_RSA, STRANGER = rsa_key("rsa"), rsa_key("rsa-2"), rsa_key("rsa")
EC, EC384, ED = ec_key("ec"), ec_key("ec384", ec.SECP384R1()), ed_key("ed")
FORGER = Forger(URL, "mreg", RSA)
ALL = (RSA, OTHER_RSA, EC, EC384, ED)


class Silent:
    def keys_fetched(self, *, ok):
        pass


class Publisher:
    """An issuer's keys in memory; counts how often they are read."""

    def __init__(self, data):
        self.data = data
        self.reads = 0

    def read(self):
        self.reads += 1
        return parse_keys(self.data), None


async def here(function):
    return function()


def verifier(*, published=None, publisher=None, **changes):
    values = {"id": "corp", "url": URL, "audience": "mreg"} | changes
    publisher = publisher or Publisher(published or jwks(*ALL))
    return OidcVerifier([(TrustedIssuer(**values), IssuerKeys("corp", publisher.read, here, Silent(), keep_s=3600))])


async def refused(token, reason=Reason.TOKEN_INVALID, **changes):
    with pytest.raises(RegistryError) as caught:
        await verifier(**changes).verify(token)
    assert caught.value.reason is reason
    signature = token.rpartition(".")[2]
    assert len(signature) < 20 or signature not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, "RS256"), (RSA, "RS384"), (RSA, "RS512"), (RSA, "PS256"), (RSA, "PS512"),
     (EC, "ES256"), (EC384, "ES384"), (ED, "EdDSA")],
)  # fmt: skip
async def test_a_token_of_a_trusted_issuer_is_its_user_until_it_ends(key, algorithm):
    end = int(time.time()) + 100
    principal = await verifier().verify(Forger(URL, "mreg", key, algorithm).token(exp=end))
    assert (principal.name, principal.groups, principal.method) == ("user:corp/ada", (), "oidc")
    assert principal.expire_time.timestamp() == end


async def test_a_kubernetes_token_is_its_service_account():
    name = "system:serviceaccount:ml:trainer"
    token = FORGER.token({"typ": DROPPED}, sub=name, aud=["mreg"], **{"kubernetes.io": {"namespace": "ml"}})
    assert (await verifier().verify(token)).name == f"user:corp/{name}"


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "nOnE", "NONE", "", "HS256", "hs256", "ES256K", None, 1, ["RS256"]]
)
async def test_the_algorithm_is_an_asymmetric_one_to_the_letter(algorithm):
    header, payload = encoded(FORGER.header(alg=algorithm)), encoded(FORGER.claims())
    signature = FORGER.token().rpartition(".")[2]
    await refused(f"{header}.{payload}.{signature}")
    await refused(f"{header}.{payload}.")


async def test_the_public_key_is_no_secret_for_an_hmac():
    pem = RSA.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    message = f"{encoded(FORGER.header(alg='HS256'))}.{encoded(FORGER.claims())}"
    for secret in (pem, pem.strip(), b"", json.dumps(RSA.jwk()).encode()):
        signature = hmac.new(secret, message.encode(), hashlib.sha256).digest()
        assert "alg" in await refused(f"{message}.{encoded(signature)}")


@pytest.mark.parametrize(
    "field",
    [{"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"jku": "https://evil.example/k"},
     {"x5u": "https://evil.example/c"}, {"x5c": ["MII="]}, {"jwk": STRANGER.jwk()}, {"zip": "DEF"}, {"cty": "JWT"},
     {"enc": "A256GCM"}],
    ids="+".join,
)  # fmt: skip
async def test_no_key_and_no_rule_comes_from_a_token(field):
    assert "which is not taken" in await refused(FORGER.token(field))
    assert "which is not taken" in await refused(FORGER.token(field, key=STRANGER))


@pytest.mark.parametrize("typ", ["logout+jwt", "secevent+jwt", "dpop+jwt", "", 7, None])
async def test_a_token_made_for_something_else_is_no_access_token(typ):
    assert "typ" in await refused(FORGER.token({"typ": typ}))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "jwt"])
async def test_an_access_token_may_say_that_it_is_one(typ):
    await verifier().verify(FORGER.token({"typ": typ}))


async def test_an_access_token_bound_to_a_key_is_not_taken_from_a_mere_bearer():
    assert "cnf" in await refused(FORGER.token(cnf={"jkt": "x"}))


@pytest.mark.parametrize("key_id", ["../../x", "' OR 1=1 --", "", "x" * 257, 5, None, ["rsa"], "rsa\x00", "RSA"])
async def test_a_key_id_only_picks_among_the_issuers_own_keys(key_id):
    await refused(FORGER.token({"kid": key_id}))


async def test_a_key_of_the_issuer_under_the_id_of_another_does_not_fit():
    await refused(FORGER.token(key=OTHER_RSA))
    await refused(FORGER.token({"kid": "rsa-2"}))
    await refused(FORGER.token(key=STRANGER))


async def test_a_token_without_a_key_id_is_by_any_key_of_the_issuer_and_no_other():
    await verifier().verify(FORGER.token({"kid": DROPPED}))
    await verifier().verify(FORGER.token({"kid": DROPPED}, key=OTHER_RSA))
    await refused(FORGER.token({"kid": DROPPED}, key=STRANGER))


async def test_the_algorithm_fits_the_type_of_the_key():
    await refused(FORGER.token({"kid": "ec"}))
    await refused(Forger(URL, "mreg", EC, "ES256").token({"alg": "RS256"}))
    await refused(Forger(URL, "mreg", EC, "ES256").token({"alg": "ES384"}))
    await refused(Forger(URL, "mreg", EC384, "ES256").token())
    await refused(FORGER.token({"alg": "EdDSA", "kid": "ed"}))


async def test_a_key_published_for_one_algorithm_or_for_encryption_signs_nothing_else():
    only_ps = json.dumps({"keys": [RSA.jwk(alg="PS256")]}).encode()
    await refused(FORGER.token(), published=only_ps)
    await verifier(published=only_ps).verify(Forger(URL, "mreg", RSA, "PS256").token())
    for change in ({"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": 5}, {"alg": 5}, {"alg": "RSA-OAEP"}):
        published = json.dumps({"keys": [RSA.jwk(**change), EC.jwk()]}).encode()
        await refused(FORGER.token(), published=published)


async def test_an_issuer_may_be_held_to_fewer_algorithms():
    only = frozenset({"ES256"})
    assert "does not use RS256" in await refused(FORGER.token(), algorithms=only)
    await verifier(algorithms=only).verify(Forger(URL, "mreg", EC, "ES256").token())


def test_weak_and_secret_keys_are_left_out():
    weak = rsa_key("weak", 1024)
    with pytest.raises(ValueError, match="none of its 2 keys"):
        parse_keys(json.dumps({"keys": [weak.jwk(), {"kty": "oct", "k": "c2VjcmV0", "kid": "o"}]}).encode())
    assert len(parse_keys(json.dumps({"keys": [weak.jwk(), RSA.jwk()]}).encode())) == 1


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b'{"keys": 1}', b'{"keys": [1, null, {}]}', b"[" * 100_000, b'{"keys": []}',
             b'{"keys": [{"kty": "RSA", "n": 1, "e": "AQAB"}, {"kty": [1]}, {"kty": "EC", "crv": "P-256", "x": "!"}]}',
             json.dumps({"keys": [RSA.jwk()] * 101}).encode()],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_key_set_is_an_error(data):
    with pytest.raises(ValueError, match=r"Key Set|keys"):
        parse_keys(data)


@pytest.mark.parametrize(
    "issuer", [URL + "/", URL + ".evil.example", URL[:-1], "issuer.example", URL.upper(), "", None, [URL], {"x": URL}]
)
async def test_the_issuer_is_known_by_its_exact_name(issuer):
    assert "not trusted here" in await refused(FORGER.token(iss=issuer))


async def test_each_issuer_is_believed_by_its_own_keys_only():
    second = "https://second.example"
    it = OidcVerifier(
        [
            (
                TrustedIssuer(id=name, url=url, audience="mreg"),
                IssuerKeys(name, Publisher(jwks(key)).read, here, Silent(), keep_s=60),
            )
            for name, url, key in (("one", URL, RSA), ("two", second, OTHER_RSA))
        ]
    )
    assert (await it.verify(FORGER.token())).name == "user:one/ada"
    assert (await it.verify(Forger(second, "mreg", OTHER_RSA).token())).name == "user:two/ada"
    with pytest.raises(RegistryError):
        await it.verify(Forger(second, "mreg", RSA).token())


@pytest.mark.parametrize(
    "audience",
    [
        *(DROPPED, "other", "mre", "mreg2", "MREG", "", None, 5),
        *([], ["other"], [["mreg"]], {"mreg": 1}, ["mreg", 5]),
    ],
)
async def test_a_token_for_others_is_not_for_us(audience):
    assert "aud" in await refused(FORGER.token(aud=audience))
    assert "aud" in await refused(FORGER.token(aud=audience), extra_audiences=True)


async def test_a_token_for_us_and_others_is_taken_only_when_the_settings_say_so():
    token = FORGER.token(aud=["account", "mreg"])
    assert "extra_audiences" in await refused(token)
    assert (await verifier(extra_audiences=True).verify(token)).name == "user:corp/ada"
    await verifier().verify(FORGER.token(aud=["mreg"]))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [({"exp": -61}, Reason.TOKEN_EXPIRED), ({"nbf": 63}, Reason.TOKEN_INVALID), ({"iat": 3600}, Reason.TOKEN_INVALID)],
    ids=["ended 61 s ago", "begins in 63 s", "made in an hour"],
)
async def test_times_are_held_with_a_minute_of_leeway(claims, reason):
    now = time.time()
    await refused(FORGER.token(**{name: now + offset for name, offset in claims.items()}), reason)
    within = {name: now + (50 if offset > 0 else -50) for name, offset in claims.items()}
    await verifier().verify(FORGER.token(**within))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", ["1e308", "NaN", "Infinity", "-Infinity", "1e999", "true", '"9999999999"', "null", "[1]", "-1", "9" * 5000]
)
async def test_a_time_is_a_plain_number(name, value):
    claims = {**FORGER.claims(**{name: DROPPED})}
    payload = json.dumps(claims)[:-1] + f', "{name}": {value}}}'
    await refused(FORGER.signed(encoded(FORGER.header()), encoded(payload)))


async def test_a_token_without_an_end_is_refused():
    assert "never end" in await refused(FORGER.token(exp=DROPPED))


@pytest.mark.parametrize(
    "text",
    ["..", "a.b.c", "a.b", "a.b.c.d", "é.b.c", "e30=.e30.x", "e30.e30.", "e3 0.e30.x", "\n.\n.\n"],
)
async def test_what_is_no_jwt_is_refused(text):
    await refused(text)


@pytest.mark.parametrize(
    "payload",
    ["[" * 4000, '{"a":' * 800, "null", "[]", "5", '"x"', "", b"\xff\xfe", '{"exp": 1, "exp": 9999999999}', "{"],
    ids=range(10),
)  # fmt: skip
async def test_a_payload_that_is_no_plain_object_is_refused(payload):
    await refused(FORGER.signed(encoded(FORGER.header()), encoded(payload)))
    await refused(FORGER.signed(encoded(payload), encoded(FORGER.claims())))


async def test_a_name_that_is_there_twice_is_refused_because_two_readers_may_see_two_values():
    payload = json.dumps(FORGER.claims())[:-1] + ', "sub": "root"}'
    assert "differ" in await refused(FORGER.signed(encoded(FORGER.header()), encoded(payload)))


async def test_size_is_looked_at_before_anything_is_decoded():
    assert "is the most" in await refused(FORGER.token(pad="x" * 8000))
    assert "is the most" in await refused(FORGER.token({"kid": "x" * 2000}))
    began = time.process_time()
    assert "is the most" in await refused("A" * 50_000_000 + ".e30.AAAA")
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("name", ["", " ada", "a\nb", "a\x00", "a\u202eb", "\ud800", "x" * 201, None, 5, ["ada"], True])
async def test_a_user_has_a_printable_name_of_some_length(name):
    message = await refused(FORGER.token(sub=name))
    assert message.isprintable()


async def test_an_email_counts_only_when_the_issuer_verified_it():
    claims = {"email": "ada@example.org"}
    for verified in (DROPPED, False, "true", 1, None):
        assert "not verified" in await refused(FORGER.token(**claims, email_verified=verified), username_claim="email")
    principal = await verifier(username_claim="email").verify(FORGER.token(**claims, email_verified=True))
    assert principal.name == "user:corp/ada@example.org"


async def test_groups_are_those_of_the_issuer():
    token = FORGER.token(teams=["ml", "/risk team"])
    principal = await verifier(groups_claim="teams").verify(token)
    assert principal.groups == ("group:corp/ml", "group:corp//risk team")
    assert (await verifier().verify(token)).groups == ()
    assert (await verifier(groups_claim="teams").verify(FORGER.token())).groups == ()


@pytest.mark.parametrize(
    "groups", ["ml", {"ml": 1}, ["a\n"], [5], [""], ["x" * 201], [f"g{n}" for n in range(201)], None]
)
async def test_groups_that_are_no_list_of_names_are_refused_and_never_cut(groups):
    assert "teams" in await refused(FORGER.token(teams=groups), groups_claim="teams")


async def test_no_text_of_a_token_reaches_a_message_unescaped():
    message = await refused(FORGER.token(iss="\ud800\x1b[31m" + "x" * 5000))
    assert message.isprintable()
    assert len(message) < 300


async def test_a_token_our_library_would_make_is_taken():
    token = pyjwt.encode(FORGER.claims(), RSA.key, algorithm="RS256", headers={"kid": "rsa"})
    assert (await verifier().verify(token)).name == "user:corp/ada"
