"""Nothing that a server of any test hands out holds its secrets: the search itself, which must be able to fail."""

import secrets

import grpc
import psycopg
import pytest

from tests.kit import canaries, engines
from tests.kit.refusals import refusal_of
from tests.kit.server import running

TOKEN = "mreg_" + "0aZ" * 20 + "1"


def leak():
    return secrets.token_hex(20)


@pytest.mark.promise("P13", "every server")
@pytest.mark.parametrize("place", ["server.log", "registry.db-wal"])
@pytest.mark.parametrize("what", ["S3 secret key", "admin.token", "a token"])
def test_a_secret_in_what_a_server_leaves_fails_its_test_and_is_not_repeated(place, what):
    key = leak()
    with running({"s3_secret_key": key}) as server:
        said = {"S3 secret key": key, "admin.token": server.token, "a token": TOKEN}[what]
        server.kill()
        left = server.data_dir / place
        with left.open("a") as out:
            out.write(f"x{said}x")
        with pytest.raises(AssertionError) as told:
            server.kill()
        left.unlink()
    assert f"{what} in {place}" in str(told.value).replace("a token, ", "")
    assert said not in str(told.value)


@pytest.mark.promise("P13", "every server")
def test_a_secret_in_a_refusal_fails_its_test(tmp_path):
    password = leak()
    canaries.learn({"database_url": f"postgresql+psycopg://registry:{password}@127.0.0.1:1/registry"}, tmp_path)
    for details, trailers in ((f"no {password}", ()), ("no", (("grpc-status-details-bin", f"\n{password}".encode()),))):
        error = grpc.RpcError(details)
        error.code, error.trailing_metadata = lambda: grpc.StatusCode.INTERNAL, lambda given=trailers: given
        with pytest.raises(AssertionError, match="database password in a status"):
            refusal_of(error)


@pytest.mark.promise("P13", "every server")
@pytest.mark.parametrize("table", ["audit", "event", "idempotency"])
def test_a_secret_in_a_table_fails_the_test_whose_database_it_is(service_environment, tmp_path, table):
    key = leak()
    canaries.learn({"s3_secret_key": key}, tmp_path)
    with pytest.raises(AssertionError, match=f"S3 secret key in table {table}"):
        keep(key, table, service_environment["MREG_TEST_POSTGRES_URL"])


def keep(secret, table, url):
    with engines.fresh_database(url) as database, psycopg.connect(database.replace("+psycopg", "")) as connection:
        connection.execute(f"CREATE TABLE {table} (payload bytea)")
        connection.execute(f"INSERT INTO {table} VALUES (%s)", (f"x{secret}x".encode(),))  # noqa: S608
