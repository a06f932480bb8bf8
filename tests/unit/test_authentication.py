import secrets
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from registry_grpc.auth.authenticator import CACHE_TTL_S, UNKNOWN_TTL_S, Authenticator
from registry_grpc.auth.bootstrap import ensure_admin_token
from registry_grpc.auth.credentials import Certificate, Credentials
from registry_grpc.auth.permissions import PERMISSIONS, MissingPermissionError, check_table
from registry_grpc.domain.calls import Committed, Principal
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.identity import Token, parse_token, token_text
from registry_grpc.observability.metrics import Metrics

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = token_text(b"\x01" * 9, b"\x02" * 32)
HEADER = Credentials([f"Bearer {TEXT}"])


class Tokens:
    def __init__(self, **changes):
        values = {
            "id": TEXT.id,
            "secret_hash": TEXT.hash(),
            "principal": "user:ada",
            "create_time": NOW,
        }
        self.token = Token(**(values | changes))
        self.asked = 0
        self.clock = 0.0
        self.is_away = False

    async def lookup(self, token_id):
        self.asked += 1
        if self.is_away:
            raise RegistryError(Reason.DATABASE_UNAVAILABLE, "away")
        return (self.token if token_id == self.token.id else None), NOW

    def authenticator(self):
        return Authenticator(self.lookup, Metrics(CollectorRegistry(), "x"), clock=lambda: self.clock)


async def test_a_proven_token_is_remembered_for_a_while():
    tokens = Tokens()
    it = tokens.authenticator()
    assert it.cached(HEADER) is None
    principal = await it.authenticate(HEADER)
    assert (principal.name, principal.token) == ("user:ada", TEXT.id)
    assert it.cached(HEADER).principal == principal
    tokens.clock = CACHE_TTL_S + 1
    assert it.cached(HEADER) is None
    assert tokens.asked == 1


async def test_a_token_about_to_expire_is_not_remembered_beyond_its_end():
    tokens = Tokens(expire_time=NOW + timedelta(seconds=5))
    it = tokens.authenticator()
    await it.authenticate(HEADER)
    tokens.clock = 5.1
    assert it.cached(HEADER) is None


async def test_a_proven_token_outlives_an_outage_of_the_database_but_not_its_own_end():
    tokens = Tokens(expire_time=NOW + timedelta(minutes=10))
    it = tokens.authenticator()
    principal = await it.authenticate(HEADER)
    tokens.is_away = True
    tokens.clock = CACHE_TTL_S + 1
    assert await it.authenticate(HEADER) == principal
    assert it.cached(HEADER).principal == principal, "not every call should wait for the database"
    tokens.clock = 601.0
    with pytest.raises(RegistryError) as caught:
        await it.authenticate(HEADER)
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE


async def test_a_token_that_was_revoked_does_not_come_back_with_an_outage():
    tokens = Tokens()
    it = tokens.authenticator()
    await it.authenticate(HEADER)
    tokens.token = replace(tokens.token, revoke_time=NOW)
    tokens.clock = CACHE_TTL_S + 1
    for is_away, reason in ((False, Reason.TOKEN_REVOKED), (True, Reason.DATABASE_UNAVAILABLE)):
        tokens.is_away = is_away
        with pytest.raises(RegistryError) as caught:
            await it.authenticate(HEADER)
        assert caught.value.reason is reason


async def test_what_is_no_token_never_reaches_the_store():
    tokens = Tokens()
    it = tokens.authenticator()
    for values in ([], ["Bearer x"], [f"Bearer {TEXT}"] * 2, ["Bearer " + "a" * 9000], [f"Token {TEXT}"]):
        with pytest.raises(RegistryError):
            await it.authenticate(Credentials(values))
    assert tokens.asked == 0


async def test_a_token_is_in_no_error_and_no_repr():
    with pytest.raises(RegistryError) as caught:
        await Tokens(revoke_time=NOW).authenticator().authenticate(HEADER)
    assert TEXT.secret not in str(caught.value) + repr(caught.value) + repr(TEXT)


class OneTable:
    """A store of tokens only."""

    def __init__(self):
        self.rows = []
        self.tokens = self.projects = self
        self.now = NOW

    def read(self, work):
        return work(self)

    def write(self, work):
        return Committed(value=work(self))

    def list(self):
        return self.rows

    def insert(self, token):
        self.rows.append(token)

    def lock(self, project):
        return project


def test_the_first_start_leaves_one_admin_token_for_its_owner_only(tmp_path):
    store = OneTable()
    path = ensure_admin_token(store, tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = parse_token(path.read_text().strip())
    [token] = store.rows
    assert text.matches(token)
    assert token.principal == "user:admin"
    assert text.secret not in repr(token)
    assert ensure_admin_token(store, tmp_path) is None
    assert path.is_file()


def test_a_file_left_by_a_crash_before_the_token_counted_is_replaced(tmp_path):
    (tmp_path / "admin.token").write_text("stale")
    path = ensure_admin_token(OneTable(), tmp_path)
    assert parse_token(path.read_text().strip())


def test_a_token_that_is_given_becomes_the_first_one_and_never_the_second(tmp_path):
    given, other = tmp_path / "given", tmp_path / "other"
    for path in (given, other):
        path.write_text(f"{token_text(secrets.token_bytes(9), secrets.token_bytes(32))}\n")
    store = OneTable()
    assert ensure_admin_token(store, tmp_path / "data", given) == given
    assert ensure_admin_token(store, tmp_path / "data", other) is None
    [token] = store.rows
    assert parse_token(given.read_text().strip()).matches(token)
    assert token.principal == "user:admin"
    assert not (tmp_path / "data").exists()


def test_a_link_put_in_the_way_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "admin.token").symlink_to(victim)
    ensure_admin_token(OneTable(), tmp_path)
    assert victim.read_text() == "precious"


def test_a_method_without_a_permission_is_not_served():
    check_table(PERMISSIONS)
    with pytest.raises(MissingPermissionError, match=r"/x\.Y/Z"):
        check_table([*PERMISSIONS, "/x.Y/Z"])


def test_every_method_of_the_contract_has_a_permission():
    from registry_grpc.v1 import (
        access_pb2,
        artifacts_pb2,
        models_pb2,
        projects_pb2,
        server_pb2,
        stages_pb2,
    )

    files = (access_pb2, artifacts_pb2, models_pb2, projects_pb2, server_pb2, stages_pb2)
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    paths = [f"/{s.full_name}/{method.name}" for s in services for method in s.methods]
    check_table(paths)
    assert all(PERMISSIONS[path] for path in paths)


class Accounts:
    """Service accounts a test may disable."""

    def __init__(self, **certificates):
        self.disabled = set()
        self.certificates = certificates

    def is_active(self, principal):
        return principal not in self.disabled

    def by_certificate(self, names):
        return next((self.certificates[name] for name in names if name in self.certificates), None)


class Jwts:
    """Proves every JWT until its end."""

    def __init__(self, end):
        self.asked = 0
        self.end = end

    async def verify(self, _text):
        self.asked += 1
        return Principal("user:corp/ada", method="oidc", expire_time=self.end)


def authenticator(tokens, **options):
    return Authenticator(tokens.lookup, Metrics(CollectorRegistry(), "x"), clock=lambda: tokens.clock, **options)


async def reason_of(it, credentials):
    with pytest.raises(RegistryError) as caught:
        await it.authenticate(credentials)
    return caught.value.reason


async def test_a_disabled_account_is_turned_away_at_its_next_call_also_when_its_token_was_just_proven():
    tokens, accounts = Tokens(principal="serviceAccount:ci"), Accounts()
    it = authenticator(tokens, accounts=accounts)
    await it.authenticate(HEADER)
    accounts.disabled.add("serviceAccount:ci")
    assert it.cached(HEADER) is None
    assert await reason_of(it, HEADER) is Reason.PRINCIPAL_DISABLED
    accounts.disabled.clear()
    assert (await it.authenticate(HEADER)).name == "serviceAccount:ci"


async def test_a_token_that_is_not_ours_costs_one_lookup_in_a_while():
    tokens = Tokens()
    it = tokens.authenticator()
    other = Credentials([f"Bearer {token_text(b'9' * 9, b'8' * 32)}"])
    for _ in range(5):
        assert await reason_of(it, other) is Reason.TOKEN_INVALID
    assert tokens.asked == 1
    tokens.clock = UNKNOWN_TTL_S + 1
    await reason_of(it, other)
    assert tokens.asked == 2


@pytest.mark.parametrize("forget", ["token", "principal"])
async def test_what_is_forgotten_is_proven_again_also_where_the_proof_is_kept(forget):
    tokens = Tokens()
    it = tokens.authenticator()
    await it.authenticate(HEADER)
    kept = it.cached(HEADER)
    if forget == "token":
        it.forget_token(TEXT.id)
    else:
        it.forget_principal("user:ada")
    assert it.cached(HEADER) is None
    assert kept.until < tokens.clock, "shortcuts hold the proof itself"
    it.forget_token("somebody else's")
    await it.authenticate(HEADER)
    assert it.cached(HEADER)


async def test_a_token_revoked_while_it_is_looked_up_is_not_remembered():
    tokens = Tokens()

    async def lookup(token_id):
        found = await tokens.lookup(token_id)
        it.forget_token(TEXT.id)
        return found

    it = Authenticator(lookup, Metrics(CollectorRegistry(), "x"), clock=lambda: tokens.clock)
    await it.authenticate(HEADER)
    assert it.cached(HEADER) is None


async def test_a_proof_that_fell_out_of_the_cache_is_good_for_nothing(monkeypatch):
    monkeypatch.setattr("registry_grpc.auth.authenticator.CACHE_ENTRIES", 1)
    tokens = Tokens()
    it = authenticator(tokens, jwts=Jwts(datetime.now(UTC) + timedelta(hours=1)))
    await it.authenticate(HEADER)
    kept = it.cached(HEADER)
    await it.authenticate(Credentials(["Bearer a.b.c"]))
    assert kept.until < tokens.clock


async def test_wrong_secret_unknown_id_and_bad_checksum_are_told_the_same():
    tokens = Tokens()
    wrong = token_text(b"\x01" * 9, b"\x03" * 32)
    assert wrong.id == TEXT.id
    unknown, broken = token_text(b"\x07" * 9, b"\x02" * 32), str(TEXT)[:-1] + ("0" if str(TEXT)[-1] != "0" else "1")
    told = set()
    for text in (wrong, unknown, broken, "mreg_", "github_pat_x"):
        with pytest.raises(RegistryError) as caught:
            await tokens.authenticator().authenticate(Credentials([f"Bearer {text}"]))
        told.add((caught.value.reason, caught.value.message, tuple(caught.value.facts.items())))
    assert len(told) == 1


async def test_a_jwt_is_remembered_but_never_past_its_end():
    tokens, jwt = Tokens(), Credentials(["Bearer a.b.c"])
    verifier = Jwts(datetime.now(UTC) + timedelta(seconds=10))
    it = authenticator(tokens, jwts=verifier)
    for _ in range(3):
        proof = it.cached(jwt)
        principal = proof.principal if proof else await it.authenticate(jwt)
    assert (principal.name, principal.method, verifier.asked) == ("user:corp/ada", "oidc", 1)
    tokens.clock = 10.5
    assert it.cached(jwt) is None
    # In the leeway after its end it is proven each time.
    late = authenticator(tokens, jwts=Jwts(datetime.now(UTC) - timedelta(seconds=10)))
    await late.authenticate(jwt)
    tokens.clock += 0.001
    assert late.cached(jwt) is None
    assert tokens.asked == 0


async def test_without_issuers_a_jwt_is_no_token_of_this_registry():
    assert await reason_of(Tokens().authenticator(), Credentials(["Bearer a.b.c"])) is Reason.TOKEN_INVALID


async def test_a_certificate_is_the_service_account_that_has_its_name():
    accounts = Accounts(**{"uri:spiffe://corp/ci": "serviceAccount:ci"})
    it = authenticator(Tokens(), accounts=accounts, wall=lambda: 1000.0)
    good = Credentials((), Certificate(("dns:ci.corp", "uri:spiffe://corp/ci"), 2000.0))
    principal = await it.authenticate(good)
    assert (principal.name, principal.method) == ("serviceAccount:ci", "certificate")
    assert principal.expire_time.timestamp() == 2000.0
    assert it.cached(good) is None, "accounts are asked each time"
    accounts.disabled.add("serviceAccount:ci")
    assert await reason_of(it, good) is Reason.PRINCIPAL_DISABLED
    with pytest.raises(RegistryError, match=r"'dns:other\.corp'") as caught:
        await it.authenticate(Credentials((), Certificate(("dns:other.corp",), 2000.0)))
    assert caught.value.reason is Reason.TOKEN_INVALID
    assert await reason_of(it, Credentials((), Certificate(("uri:spiffe://corp/ci",), 999.0))) is Reason.TOKEN_EXPIRED


async def test_a_header_wins_over_the_certificate_also_when_it_is_wrong():
    accounts = Accounts(**{"dns:ci": "serviceAccount:ci"})
    certificate = Certificate(("dns:ci",), 1e12)
    it = authenticator(Tokens(), accounts=accounts)
    assert (await it.authenticate(HEADER._replace(certificate=certificate))).name == "user:ada"
    assert await reason_of(it, Credentials(["Bearer x"], certificate)) is Reason.TOKEN_INVALID
    assert await reason_of(it, Credentials()) is Reason.TOKEN_MISSING
