"""P19: what was taken away ends on every replica within 30 s, also for a stream that is open."""

import time
from contextlib import ExitStack, contextmanager

import grpc
import pytest

from registry_grpc.v1 import access_pb2, artifacts_pb2, projects_pb2
from tests.kit.access import Office
from tests.kit.deployments import distributed_settings, two_replicas
from tests.kit.engines import places
from tests.kit.pki import Authority, put
from tests.kit.refusals import refusal_of, refused
from tests.kit.server import Api, RegistryServer, running
from tests.kit.uploads import MIB, PART, Content, Held, Registry, part_of_stream
from tests.kit.waiting import until

LIMIT_S = 30.0
SIZE = PART + 2 * MIB


@pytest.fixture(scope="module")
def replicas(service_environment):
    with two_replicas(service_environment) as servers:
        yield servers


@contextmanager
def open_upload(server, who, version):
    """A WriteUpload of `who` at `server` that has sent a mebibyte and says nothing more."""
    api = who.at(server)
    started = api.artifacts.StartUpload(
        artifacts_pb2.StartUploadRequest(parent=version, path=f"{time.monotonic_ns()}", size_bytes=SIZE)
    )
    held = Held(part_of_stream(started.name, Content(SIZE), 0, MIB))
    call = api.artifacts.WriteUpload.future(iter(held), timeout=90)
    until(lambda: held.sent, 20)
    # Taken over by the server, and so past every check at its beginning.
    admin = server.api()
    until(lambda: _epoch_is_taken(admin, started.name), 20)
    try:
        yield call
    finally:
        call.cancel()
        held.let_go()
        api.close()
        admin.close()


def _epoch_is_taken(admin, name):
    found = admin.artifacts.GetUpload(artifacts_pb2.GetUploadRequest(name=name))
    return found.state == artifacts_pb2.Upload.STATE_ACTIVE


def end_of(call):
    """How the stream was ended, and whether in time."""
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        call.result(timeout=LIMIT_S + 15)
    assert time.monotonic() - began < LIMIT_S
    return refusal_of(caught.value)


def revoke(office, who, binding):
    office.api.access.RevokeToken(access_pb2.RevokeTokenRequest(name=who.token.name))


def unbind(office, who, binding):
    office.unbind(binding.name)


def disable(office, who, binding):
    account = access_pb2.ServiceAccount(name=who.name, disabled=True)
    office.api.access.UpdateServiceAccount(access_pb2.UpdateServiceAccountRequest(service_account=account))


def delete(office, who, binding):
    office.api.access.DeleteServiceAccount(access_pb2.DeleteServiceAccountRequest(name=who.name))


def narrow(office, who, binding):
    """Another role instead: the project stays in sight."""
    office.bind("viewer", binding.name.partition("/roleBindings/")[0], who.principal)
    office.unbind(binding.name)


WAYS = {
    revoke: ("UNAUTHENTICATED", "TOKEN_REVOKED"),
    unbind: ("NOT_FOUND", "PROJECT_NOT_FOUND"),
    disable: ("UNAUTHENTICATED", "PRINCIPAL_DISABLED"),
    # Its tokens are revoked with it: whichever is found first.
    delete: ("UNAUTHENTICATED", "PRINCIPAL_DISABLED", "TOKEN_REVOKED"),
    narrow: ("PERMISSION_DENIED", "PERMISSION_MISSING"),
}


@pytest.mark.promise("P19", "revoked")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_access_that_was_taken_away_ends_open_uploads_on_both_replicas(replicas, way):
    here, there = replicas
    office = Office(here)
    registry = Registry.of(here)
    project = registry.project()
    version = registry.draft(project)
    who = office.somebody()
    binding = office.bind("contributor", project, who.principal)
    until(lambda: _can_see(there, who, project), LIMIT_S)

    with open_upload(here, who, version) as first, open_upload(there, who, version) as second:
        time.sleep(6)  # longer than the round of checks: what is permitted goes on
        assert not first.done()
        assert not second.done()
        way(office, who, binding)
        ends = [end_of(first), end_of(second)]

    code, *reasons = WAYS[way]
    assert [end.code for end in ends] == [code, code]
    assert {end.reason for end in ends} <= set(reasons)
    for server in (here, there):
        code = refused(
            who.at(server).projects.UpdateProject,
            projects_pb2.UpdateProjectRequest(project=projects_pb2.Project(name=project, description="x")),
        ).code
        assert code in {"UNAUTHENTICATED", "NOT_FOUND", "PERMISSION_DENIED"}


class CertificateHolder:
    """A caller known by a client certificate; `ports` has the mTLS port of each server."""

    def __init__(self, principal, servers_ca, identity, ports):
        self.principal = principal
        self._credentials = grpc.ssl_channel_credentials(servers_ca.pem, identity.key, identity.certificate)
        self._ports = ports

    def at(self, server):
        return Api(grpc.secure_channel(f"localhost:{self._ports[server.port]}", self._credentials))


@contextmanager
def two_replicas_with_certificates(environment, directory):
    """Two replicas that take tokens at one port and certificates at another, and who issues those."""
    servers_ca, clients_ca = Authority("servers"), Authority("clients")
    own = servers_ca.identity("dns:localhost", "ip:127.0.0.1")
    files = {
        "tls_cert": str(put(directory / "server.pem", own.certificate)),
        "tls_key": str(put(directory / "server.key", own.key)),
        "tls_client_ca": str(put(directory / "clients.pem", clients_ca.pem)),
    }
    mtls = [places.free_port(), places.free_port()]
    with distributed_settings(environment) as given, ExitStack() as stack:
        servers = [
            stack.enter_context(running(given | files | {"listen": f"plaintext://127.0.0.1:0,mtls://127.0.0.1:{port}"}))
            for port in mtls
        ]
        (servers[1].data_dir / "admin.token").write_text(servers[0].token)
        ports = {server.port: port for server, port in zip(servers, mtls, strict=True)}
        yield servers, servers_ca, clients_ca, ports


@pytest.mark.promise("P19", "revoked")
def test_disabling_an_account_ends_open_uploads_of_its_certificate_on_both_replicas(service_environment, tmp_path):
    with two_replicas_with_certificates(service_environment, tmp_path) as (servers, servers_ca, clients_ca, ports):
        here, there = servers
        office, registry = Office(here), Registry.of(here)
        project = registry.project()
        version = registry.draft(project)
        account = access_pb2.ServiceAccount(certificate_names=["dns:trainer.example"])
        made = office.api.access.CreateServiceAccount(
            access_pb2.CreateServiceAccountRequest(service_account_id="trainer", service_account=account)
        )
        who = CertificateHolder(made.principal, servers_ca, clients_ca.identity("dns:trainer.example"), ports)
        office.bind("contributor", project, who.principal)
        until(lambda: _can_see(there, who, project), LIMIT_S)

        with open_upload(here, who, version) as first, open_upload(there, who, version) as second:
            time.sleep(6)  # longer than the round of checks: what is permitted goes on
            assert not first.done()
            assert not second.done()
            disable(office, made, None)
            ends = [end_of(first), end_of(second)]

        assert {(end.code, end.reason) for end in ends} == {("UNAUTHENTICATED", "PRINCIPAL_DISABLED")}


def _can_see(server, who, project):
    api = who.at(server)
    try:
        return bool(api.projects.GetProject(projects_pb2.GetProjectRequest(name=project)).name)
    except grpc.RpcError:
        return False
    finally:
        api.close()


@pytest.mark.promise("P19", "stalled feed")
@pytest.mark.parametrize("way", [revoke, unbind], ids=lambda way: way.__name__)
def test_a_replica_whose_feed_stands_still_learns_of_it_all_the_same(service_environment, tmp_path, way):
    with distributed_settings(service_environment) as settings:
        here = RegistryServer(tmp_path / "here", settings).start()
        there = None
        try:
            office = Office(here)
            who = office.somebody()
            registry = Registry.of(here)
            project = registry.project()
            binding = office.bind("viewer", project, who.principal)
            there = RegistryServer(tmp_path / "there", settings, failpoints="feed.poll.before=hang@4").start()
            assert _can_see(there, who, project)
            until(lambda: there.fired["feed.poll.before"], 20)

            way(office, who, binding)

            until(lambda: not _can_see(there, who, project), LIMIT_S)
        finally:
            here.kill()
            if there is not None:
                there.kill()
