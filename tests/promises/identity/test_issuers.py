"""A real OpenID provider rotates its keys, and goes away, while callers come."""

import json
import signal
import threading
import time

import grpc
import pytest

from registry_grpc.v1 import access_pb2, access_pb2_grpc, models_pb2, models_pb2_grpc
from tests.kit.jwts import Forger, jwks, rsa_key
from tests.kit.oidc import AUDIENCE, issuer
from tests.kit.refusals import refused
from tests.kit.server import running
from tests.kit.waiting import metric, until
from tests.promises.identity.callers import bearer, caller

UNKNOWN_KEY_S = 30
"""As long as a second new key may have to wait after the first."""
FETCHES = "registry_issuer_fetches_total"


class Traffic:
    """Callers who go on until told to stop: one with the same token, one with a new one each time."""

    def __init__(self, server, tokens):
        self._server = server
        self._tokens = tokens
        self._stop = threading.Event()
        self.served = 0
        self.errors = []
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        with grpc.insecure_channel(self._server.endpoint) as channel:
            while not self._stop.wait(0.01):
                try:
                    assert caller(channel, bearer(self._tokens())) == "user:corp/robot"
                    self.served += 1
                except grpc.RpcError as error:
                    self.errors.append((time.monotonic(), error.code(), error.details()))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@pytest.mark.promise("P19", "issuer keys")
@pytest.mark.timeout(240)
def test_new_keys_are_taken_up_and_old_ones_dropped_while_callers_come():
    with (
        issuer() as provider,
        running(provider.settings()) as server,
        grpc.insecure_channel(server.endpoint) as channel,
    ):
        # Signed before the rotation, and many of them, so that none is proven from memory.
        old = [provider.token() for _ in range(300)]
        handed_out = iter(old * 1000)
        assert caller(channel, bearer(old[0])) == "user:corp/robot"
        assert provider.key_reads == 1
        with Traffic(server, lambda: next(handed_out)) as traffic:
            provider.control("rotate?keep=1")
            new = provider.token()
            assert caller(channel, bearer(new)) == "user:corp/robot", "a key nobody saw before is asked for at once"
            assert provider.key_reads == 2
            assert accepted(channel, provider.token())
            seen = traffic.served
            until(lambda: traffic.served > seen + 20, within_s=20)
        assert traffic.errors == [], "tokens of the key that is still published never failed"
        # Now the old key is withdrawn as well. A token by the newest one makes the server see it.
        last_old = provider.token()
        provider.control("rotate?keep=0")
        until(lambda: accepted(channel, provider.token()), within_s=UNKNOWN_KEY_S + 15, every_s=0.5)
        assert refused(caller, channel, bearer(last_old)).reason == "TOKEN_INVALID"
        assert provider.key_reads == 3
        assert metric(server.metrics_port, FETCHES, outcome="ok") == 3


def accepted(channel, token):
    try:
        return caller(channel, bearer(token)) == "user:corp/robot"
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
            raise
        return False


@pytest.mark.promise("P19", "issuer away")
def test_an_issuer_that_goes_away_keeps_its_users_and_one_that_never_came_has_none_yet():
    with issuer(TOKEN_ALG="ES256") as provider:
        token, fresh = provider.token(), provider.token()
        with running(provider.settings()) as server, grpc.insecure_channel(server.endpoint) as channel:
            assert caller(channel, bearer(token)) == "user:corp/robot"
            provider.control("away?is=1")
            assert caller(channel, bearer(fresh)) == "user:corp/robot", "by keys that are known"
        with running(provider.settings()) as server, grpc.insecure_channel(server.endpoint) as channel:
            refusal = refused(caller, channel, bearer(token))
            assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "ISSUER_UNAVAILABLE")
            assert refusal.retry_s
            assert caller(channel, bearer(server.token)) == "user:admin", "tokens of the registry do not need it"
            assert metric(server.metrics_port, FETCHES, outcome="error") >= 1
            assert "the keys of an issuer cannot be read" in server.log
            provider.control("away?is=0")
            until(lambda: back(channel, fresh), within_s=30, every_s=0.2)


def back(channel, token):
    try:
        return caller(channel, bearer(token)) == "user:corp/robot"
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False


@pytest.mark.promise("P19", "issuer away")
def test_an_issuer_that_hangs_holds_up_only_its_own_users():
    with (
        issuer() as provider,
        running(provider.settings()) as server,
        grpc.insecure_channel(server.endpoint) as channel,
    ):
        token = provider.token()
        provider.process.send_signal(signal.SIGSTOP)  # the port is open, nobody answers
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(refused(caller, channel, bearer(token))))
        waiting.start()
        for _ in range(20):
            began = time.monotonic()
            assert caller(channel, bearer(server.token)) == "user:admin"
            assert time.monotonic() - began < 3
        waiting.join(30)
        assert answers[0].reason == "ISSUER_UNAVAILABLE"


def test_what_a_group_of_the_issuer_is_bound_to_its_members_may():
    with issuer() as provider, running(provider.settings()) as server:
        access = access_pb2_grpc.AccessServiceStub(server.channel())
        with grpc.insecure_channel(server.endpoint) as channel:
            models = models_pb2_grpc.ModelServiceStub(channel)
            request = models_pb2.ListModelsRequest(parent="projects/default")
            robot = (("authorization", bearer(provider.token())),)
            assert refused(models.ListModels, request, metadata=robot, timeout=20).code == "NOT_FOUND"
            binding = access_pb2.RoleBinding(role="roles/viewer", members=["group:corp/robots"])
            access.CreateRoleBinding(
                access_pb2.CreateRoleBindingRequest(parent="projects/default", role_binding=binding), timeout=20
            )
            assert list(models.ListModels(request, metadata=robot, timeout=20).models) == []
            create = models_pb2.CreateModelRequest(parent="projects/default", model_id="fraud")
            assert refused(models.CreateModel, create, metadata=robot, timeout=20).code == "PERMISSION_DENIED"


@pytest.mark.promise("P19", "issuer keys")
def test_an_open_stream_ends_with_the_jwt_it_was_opened_with(tmp_path):
    key = rsa_key()
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(key))
    forger = Forger("https://forge.example", AUDIENCE, key)
    trusted = [{"id": "forge", "issuer": forger.issuer, "audience": AUDIENCE, "jwks_file": str(path)}]
    with running({"issuers": json.dumps(trusted)}) as server, grpc.insecure_channel(server.endpoint) as channel:
        asked = threading.Event()
        # The leeway of a minute has 12 s left.
        metadata = (("authorization", bearer(forger.token(exp=time.time() - 48))),)
        method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        answers = channel.stream_stream(method)(questions(asked), timeout=100, metadata=metadata)
        assert next(answers), "it is open"
        refusal = refused(next, answers)
        asked.set()
        assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")


def questions(asked):
    """One question (list services), and then silence."""
    yield b"\x3a\x00"
    asked.wait(100)
