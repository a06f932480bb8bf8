"""Callers known by their certificate, over real handshakes; row 29 of the hostile inputs, and rotation on disk."""

import contextlib
import datetime as dt
import threading

import grpc
import pytest

from registry_grpc.v1 import access_pb2, access_pb2_grpc
from tests.kit.engines import places
from tests.kit.pki import Authority, put
from tests.kit.refusals import refused
from tests.kit.server import running
from tests.kit.waiting import until
from tests.promises.identity.callers import bearer, caller

URI = "uri:spiffe://corp.example/ci"
DNS = "dns:trainer.corp.example"
SECONDS = dt.timedelta(seconds=1)


class World:
    """A server with a plaintext and an mTLS listener, and the files of the second."""

    def __init__(self, directory):
        self.directory = directory
        self.servers_ca, self.clients_ca = Authority("servers"), Authority("clients")
        self.serve(self.servers_ca)
        self.trust(self.clients_ca)
        self.port = places.free_port()
        self.settings = {
            "listen": f"plaintext://127.0.0.1:0,mtls://127.0.0.1:{self.port}",
            "tls_cert": str(directory / "server.pem"),
            "tls_key": str(directory / "server.key"),
            "tls_client_ca": str(directory / "clients.pem"),
        }
        self.server = None

    def serve(self, authority):
        """Put a new server certificate where the server reads it."""
        own = authority.identity("dns:localhost", "ip:127.0.0.1")
        put(self.directory / "server.pem", own.certificate)
        put(self.directory / "server.key", own.key)

    def trust(self, *authorities):
        put(self.directory / "clients.pem", b"".join(each.pem for each in authorities))

    @contextlib.contextmanager
    def channel(self, identity=None, authority=None):
        """A connection of its own to the mTLS listener."""
        credentials = grpc.ssl_channel_credentials(
            (authority or self.servers_ca).pem,
            identity.key if identity else None,
            identity.certificate if identity else None,
        )
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.secure_channel(f"localhost:{self.port}", credentials, options) as channel:
            yield channel

    def who(self, identity, *authorization, authority=None):
        with self.channel(identity, authority) as channel:
            return caller(channel, *authorization)

    def accounts(self):
        return access_pb2_grpc.AccessServiceStub(self.server.channel())

    def account(self, account_id, *names):
        """A service account with these names in certificates."""
        wanted = access_pb2.ServiceAccount(certificate_names=names)
        request = access_pb2.CreateServiceAccountRequest(service_account_id=account_id, service_account=wanted)
        return self.accounts().CreateServiceAccount(request, timeout=20)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("mtls"))
    with running(made.settings) as made.server:
        made.account("ci", URI)
        made.account("trainer", DNS)
        yield made


def test_a_caller_without_a_token_is_the_account_that_has_a_name_of_its_certificate(world):
    assert world.who(world.clients_ca.identity(URI)) == "serviceAccount:ci"
    assert world.who(world.clients_ca.identity(DNS)) == "serviceAccount:trainer"
    assert world.who(world.clients_ca.identity("dns:other.example", "ip:10.0.0.1", URI)) == "serviceAccount:ci"


@pytest.mark.promise("P14", "credentials")
def test_a_certificate_that_no_account_has_is_told_what_was_looked_for(world):
    # The same text as a name of another kind is another name.
    names = ("dns:ci", "uri:trainer.corp.example", "dns:sub.trainer.corp.example", "ip:10.0.0.1")
    for name in names:
        refusal = refused(world.who, world.clients_ca.identity(name))
        assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
        assert name in refusal.text or name.startswith("ip:")
    assert "no URI and no DNS name" in refused(world.who, world.clients_ca.identity()).text


@pytest.mark.promise("P14", "credentials")
def test_row_29_certificates_that_fail_the_handshake(world):
    strangers = {
        "none": None,
        "another authority's": Authority("clients").identity(URI),
        "expired": world.clients_ca.identity(URI, lasts=-5 * SECONDS),
        "not yet valid": world.clients_ca.identity(URI, began=dt.timedelta(hours=-1)),
    }
    for what, identity in strangers.items():
        with world.channel(identity) as channel:
            assert refused(caller, channel, bearer(world.server.token)).code == "UNAVAILABLE", what
    assert world.who(world.clients_ca.identity(URI)) == "serviceAccount:ci"


def test_a_token_wins_over_the_certificate_also_when_it_is_wrong(world):
    identity = world.clients_ca.identity(URI)
    assert world.who(identity, bearer(world.server.token)) == "user:admin"
    assert refused(world.who, identity, bearer("mreg_x")).reason == "TOKEN_INVALID"
    assert refused(world.who, identity, "").reason == "TOKEN_INVALID"


def test_a_certificate_that_ends_while_it_is_connected_ends_its_calls(world):
    with world.channel(world.clients_ca.identity(URI, lasts=8 * SECONDS)) as channel:
        assert caller(channel) == "serviceAccount:ci"
        until(lambda: ended(channel), within_s=40, every_s=0.2)


def ended(channel):
    try:
        caller(channel)
    except grpc.RpcError as error:
        return error.code() is grpc.StatusCode.UNAUTHENTICATED and "past its end" in error.details()
    return False


def test_disabling_the_account_ends_what_its_certificate_opens_also_on_an_open_connection(world):
    made = world.account("leaving", "dns:leaving.example")
    with world.channel(world.clients_ca.identity("dns:leaving.example")) as channel:
        assert caller(channel) == "serviceAccount:leaving"
        made.disabled = True
        request = access_pb2.UpdateServiceAccountRequest(service_account=made, update_mask={"paths": ["disabled"]})
        world.accounts().UpdateServiceAccount(request, timeout=20)
        refusal = refused(caller, channel)
        assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "PRINCIPAL_DISABLED")


class Callers:
    """One caller after another, each over a connection of its own, until told to stop."""

    def __init__(self, world, identity, roots):
        self.served = []
        self.errors = []
        self._world = world
        self._credentials = grpc.ssl_channel_credentials(roots, identity.key, identity.certificate)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        options = [("grpc.use_local_subchannel_pool", 1)]
        while not self._stop.is_set():
            with grpc.secure_channel(f"localhost:{self._world.port}", self._credentials, options) as channel:
                try:
                    self.served.append(caller(channel))
                except grpc.RpcError as error:
                    self.errors.append((error.code(), error.details()))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def go_on(self):
        """Wait until more of them were served."""
        before = len(self.served)
        until(lambda: len(self.served) > before + 20, within_s=60)


@pytest.mark.promise("P19", "certificates")
def test_certificate_and_authorities_are_rotated_on_disk_while_callers_come(tmp_path):
    world = World(tmp_path)
    next_servers, next_clients = Authority("servers, next"), Authority("clients, next")
    old, new = world.clients_ca.identity(URI), next_clients.identity(URI)
    # Clients trust both authorities of the server, as a fleet does in between.
    roots = world.servers_ca.pem + next_servers.pem
    with running(world.settings) as world.server, world.channel(old) as long_lived:
        world.account("ci", URI)
        assert caller(long_lived) == "serviceAccount:ci"
        assert refused(world.who, new).code == "UNAVAILABLE", "not trusted yet"
        with Callers(world, old, roots) as old_callers:
            world.trust(world.clients_ca, next_clients)
            until(lambda: comes_in(world, new, world.servers_ca), within_s=20)
            with Callers(world, new, roots) as new_callers:
                world.serve(next_servers)
                until(lambda: comes_in(world, new, next_servers), within_s=20)
                assert refused(world.who, new, authority=world.servers_ca).code == "UNAVAILABLE", "the old one is gone"
                old_callers.go_on()
                new_callers.go_on()
        assert old_callers.errors == new_callers.errors == []
        with Callers(world, new, roots) as new_callers:
            world.trust(next_clients)
            until(lambda: not comes_in(world, old, next_servers), within_s=20)
            new_callers.go_on()
        assert new_callers.errors == []
        assert set(old_callers.served + new_callers.served) == {"serviceAccount:ci"}
        assert caller(long_lived) == "serviceAccount:ci", "open connections keep what they were opened with"


def comes_in(world, identity, authority):
    try:
        return world.who(identity, authority=authority) == "serviceAccount:ci"
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False
