import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from registry_grpc.auth.authenticator import CACHE_TTL_S, Authenticator
from registry_grpc.auth.bootstrap import ensure_admin_token
from registry_grpc.auth.permissions import PERMISSIONS, MissingPermissionError, check_table
from registry_grpc.domain.calls import Committed
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.identity import Token, parse_token, token_text
from registry_grpc.observability.metrics import Metrics

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = token_text(b"\x01" * 9, b"\x02" * 32)
HEADER = [f"Bearer {TEXT}"]


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
    for values in ([], ["Bearer x"], HEADER * 2, ["Bearer " + "a" * 9000], [f"Token {TEXT}"]):
        with pytest.raises(RegistryError):
            await it.authenticate(values)
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
        artifacts_pb2,
        models_pb2,
        projects_pb2,
        server_pb2,
        stages_pb2,
    )

    files = (artifacts_pb2, models_pb2, projects_pb2, server_pb2, stages_pb2)
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    paths = [f"/{s.full_name}/{method.name}" for s in services for method in s.methods]
    check_table(paths)
    assert all(PERMISSIONS[path] for path in paths)
