"""Rows 18 to 28 and 80 of the hostile inputs: a server that trusts a real OpenID provider, and keys of ours."""

import json
import time
import urllib.request

import grpc
import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization
from google.protobuf import empty_pb2
from jwt.algorithms import RSAAlgorithm

from registry_grpc.domain.identity import TokenText, token_text
from tests.kit.jwts import DROPPED, Forger, ec_key, encoded, jwks, rsa_key
from tests.kit.oidc import AUDIENCE, issuer
from tests.kit.refusals import refused
from tests.kit.server import running
from tests.kit.waiting import metric
from tests.promises.identity.callers import bearer, caller, trap

pytestmark = pytest.mark.promise("P14", "credentials")
OURS = "https://forge.example"
KEY, SECOND, EC, STRANGER = rsa_key("one"), rsa_key("two"), ec_key("ec"), rsa_key("one")
FORGER = Forger(OURS, AUDIENCE, KEY)


@pytest.fixture(scope="module")
def provider():
    with issuer() as process:
        yield process


@pytest.fixture(scope="module")
def server(provider, tmp_path_factory):
    path = tmp_path_factory.mktemp("forge") / "jwks.json"
    path.write_bytes(jwks(KEY, SECOND, EC))
    trusted = [
        {"id": "corp", "issuer": provider.url, "audience": AUDIENCE, "groups_claim": "groups"},
        {"id": "forge", "issuer": OURS, "audience": AUDIENCE, "jwks_file": str(path)},
    ]
    with running({"issuers": json.dumps(trusted)}) as process:
        yield process


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.endpoint) as channel:
        yield channel


@pytest.fixture(autouse=True)
def still_serves(channel, server):
    yield
    assert caller(channel, bearer(server.token)) == "user:admin"


def turned_away(channel, *authorization, reason="TOKEN_INVALID"):
    refusal = refused(caller, channel, *authorization)
    assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", reason)
    return refusal


def real_key(provider):
    """The public RSA key of the real provider, as anybody can read it."""
    with urllib.request.urlopen(f"{provider.url}/jwks", timeout=10) as answer:
        return next(each for each in json.load(answer)["keys"] if each["kty"] == "RSA")


def test_a_token_of_the_provider_is_taken_and_so_is_one_of_ours(channel, provider):
    assert caller(channel, bearer(provider.token())) == "user:corp/robot"
    assert caller(channel, bearer(FORGER.token())) == "user:forge/ada"
    assert caller(channel, bearer(Forger(OURS, AUDIENCE, EC, "ES256").token())) == "user:forge/ada"


def test_row_18_no_authorization_another_scheme_an_empty_bearer(channel):
    turned_away(channel, reason="TOKEN_MISSING")
    for header in ("Basic dTpw", "Bearer", "Bearer ", "", "bearer", "Token x", "Negotiate YII"):
        turned_away(channel, header)


def test_row_19_two_authorization_headers(channel, server, provider):
    turned_away(channel, bearer(server.token), bearer(server.token))
    turned_away(channel, bearer(provider.token()), bearer(server.token))
    turned_away(channel, "Basic dTpw", bearer(server.token))


def test_row_20_tokens_that_are_too_long(channel):
    # With the other headers, and 32 bytes for each, below 8 KiB: beyond that gRPC refuses some, by chance.
    turned_away(channel, bearer("a" * 7400))
    turned_away(channel, bearer(FORGER.token({"kid": "x" * 5000})))
    for text in ("a" * 10_500, FORGER.token({"pad": "x" * 1_000_000})):
        assert refused(caller, channel, bearer(text)).code == "RESOURCE_EXHAUSTED"


def test_row_21_no_algorithm(channel, provider):
    signature = provider.token().rpartition(".")[2]
    for algorithm in ("none", "None", "nOnE", "NONE", ""):
        claims = encoded(FORGER.claims(iss=provider.url, sub="robot"))
        for header in (FORGER.header(alg=algorithm), {"alg": algorithm}):
            turned_away(channel, bearer(f"{encoded(header)}.{claims}."))
            turned_away(channel, bearer(f"{encoded(header)}.{claims}.{signature}"))


def test_row_22_an_hmac_with_the_public_key(channel, provider):
    published = real_key(provider)
    pem = RSAAlgorithm.from_jwk(published).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = encoded({"alg": "HS256", "typ": "JWT", "kid": published["kid"]})
    message = f"{header}.{encoded(FORGER.claims(iss=provider.url, sub='robot'))}"
    for secret in (pem, pem.strip(), json.dumps(published).encode()):
        mac = hmac.HMAC(secret, hashes.SHA256())
        mac.update(message.encode())
        turned_away(channel, bearer(f"{message}.{encoded(mac.finalize())}"))


def test_row_23_a_token_that_brings_its_key_or_its_rules_and_nobody_asks_there(channel, provider):
    with trap() as evil:
        fields = [
            {"jku": f"{evil.url}/jku"},
            {"x5u": f"{evil.url}/x5u"},
            {"jwk": STRANGER.jwk()},
            {"x5c": [encoded(b"certificate")]},
            {"crit": ["exp"]},
            {"crit": ["b64"], "b64": False},
            {"b64": False},
        ]
        for field in fields:
            turned_away(channel, bearer(FORGER.token(field)))
            turned_away(channel, bearer(FORGER.token(field, key=STRANGER)))
            turned_away(channel, bearer(FORGER.token(field, key=STRANGER, iss=provider.url)))
        turned_away(channel, bearer(FORGER.token(key=STRANGER, iss=evil.url)))
        turned_away(channel, bearer(FORGER.token({"kid": f"{evil.url}/kid"}, key=STRANGER)))
        assert evil.requests == []


def test_row_24_a_thousand_unknown_keys_are_at_most_one_read(channel, provider, server):
    caller(channel, bearer(provider.token()))
    before, began = provider.key_reads, time.monotonic()
    for name in ("../../x", "' OR 1=1 --", "x" * 1500, "rsa\x00"):
        turned_away(channel, bearer(FORGER.token({"kid": name}, iss=provider.url)))
        turned_away(channel, bearer(FORGER.token({"kid": name})))
    refusals = 0
    claims = encoded(FORGER.claims(iss=provider.url))
    for number in range(1000):
        token = f"{encoded(FORGER.header(kid=f'k{number}'))}.{claims}.{encoded(b'x' * 256)}"
        turned_away(channel, bearer(token))
        refusals += 1
    assert refusals == 1000
    allowed = 1 + (time.monotonic() - began) // 30
    assert provider.key_reads - before <= allowed
    assert metric(server.metrics_port, "registry_auth_failures_total", reason="invalid") >= 1000


@pytest.mark.parametrize(
    "audience", [DROPPED, "other", [], ["other"], [AUDIENCE, "other"], AUDIENCE + "x", {AUDIENCE: 1}]
)
def test_row_25_a_token_that_is_for_others(channel, audience):
    turned_away(channel, bearer(FORGER.token(aud=audience)))


@pytest.mark.parametrize(
    "name", [OURS + "/", OURS + ".evil.example", OURS[:-1], "forge.example", "https://", "", DROPPED, [OURS]]
)
def test_row_25_an_issuer_that_is_nearly_trusted(channel, name):
    turned_away(channel, bearer(FORGER.token(iss=name)))


def test_row_26_times(channel):
    now = time.time()
    turned_away(channel, bearer(FORGER.token(exp=now - 61)), reason="TOKEN_EXPIRED")
    for claims in ({"nbf": now + 75}, {"iat": now + 3600}, {"exp": str(now + 60)}, {"exp": 1e308}, {"exp": True}):
        turned_away(channel, bearer(FORGER.token(**claims)))
    for value in ("NaN", "Infinity", "1e999"):
        payload = json.dumps(FORGER.claims(exp=DROPPED))[:-1] + f', "exp": {value}}}'
        turned_away(channel, bearer(FORGER.signed(encoded(FORGER.header()), encoded(payload))))
    assert caller(channel, bearer(FORGER.token(exp=now - 30))) == "user:forge/ada"


def test_row_27_a_signature_of_another_key(channel, provider):
    turned_away(channel, bearer(FORGER.token(key=SECOND)))
    turned_away(channel, bearer(FORGER.token(key=STRANGER)))
    turned_away(channel, bearer(FORGER.token({"kid": "ec"})))
    turned_away(channel, bearer(Forger(OURS, AUDIENCE, EC, "ES256").token({"alg": "RS256"})))
    # A good token of the one issuer says nothing about the other.
    turned_away(channel, bearer(FORGER.token(iss=provider.url)))
    good = provider.token()
    body = good.rpartition(".")[0]
    turned_away(channel, bearer(f"{body}.{encoded(b'0' * 256)}"))


def test_row_28_tokens_of_this_registry_that_are_not(channel, server):
    good = server.token
    last = good[-1]
    others = {
        # The checksum is public: whoever knows an id can make a token of the right form.
        "right id, wrong secret": str(TokenText(good[5:17], "A" * 43)),
        "unknown id, or of another registry": str(token_text(b"\x07" * 9, b"\x05" * 32)),
        "bad checksum": good[:-1] + ("0" if last != "0" else "1"),
        "cut": good[:-1],
        "no token of any registry": "ghp_" + "x" * 36,
    }
    told = {
        turned_away(channel, bearer(text)).text.partition("details = ")[2].splitlines()[0] for text in others.values()
    }
    assert len(told) == 1, told
    assert not any(text in server.log for text in others.values())


def test_row_80_health_answers_strangers_and_reflection_does_not(channel):
    health = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert health(b"", timeout=20) == b"\x08\x01"
    reflection = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    assert refused(lambda: list(reflection(iter([b"\x3a\x00"]), timeout=20))).code == "UNAUTHENTICATED"
    channelz = channel.unary_unary("/grpc.channelz.v1.Channelz/GetServers")
    assert refused(channelz, empty_pb2.Empty().SerializeToString(), timeout=20).code == "UNIMPLEMENTED"


def test_no_token_is_in_the_log(channel, server, provider):
    good, false = [server.token, provider.token(), FORGER.token()], FORGER.token(key=STRANGER)
    for each in good:
        caller(channel, bearer(each))
    assert false not in refused(caller, channel, bearer(false)).text
    signatures = [each.rpartition(".")[2] for each in (*good, false)]
    assert not any(each in server.log for each in signatures)
