"""Logging in to servers, real ones, and at a real OpenID provider by its pages."""

import io
import json
import os
import stat
import subprocess
import sys
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from registry_grpc.client import Registry, Unauthenticated
from registry_grpc.client.contexts import change_contexts, default_path, load_contexts
from tests.kit.oidc import CLIENT_ID, issuer
from tests.kit.pki import Authority
from tests.kit.server import running

MREG = [sys.executable, "-c", "from registry_grpc.cli.app import main; main()"]


@pytest.fixture(scope="module")
def provider():
    with issuer() as process:
        yield process


@pytest.fixture(scope="module")
def server(provider):
    with running(provider.settings()) as process:
        yield process


@pytest.fixture
def typed(monkeypatch):
    def put(text):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text + "\n"))

    return put


@pytest.fixture
def logged_in(mreg, server, typed):
    typed(server.token)
    result = mreg("login", "--server", server.endpoint, "--token-stdin")
    assert result.code == 0, result.err
    assert f"logged in to {server.endpoint} as user:admin" in result.err
    return mreg


def test_a_login_by_token_is_kept_for_its_owner_only_and_used_by_commands_and_the_sdk(logged_in, server):
    path = default_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert logged_in("models", "list").code == 0
    assert logged_in("whoami", "-o", "name").out.strip() == "user:admin"
    with Registry() as registry:
        assert registry.endpoint == server.endpoint
        assert registry.caller().principal == "user:admin"
    assert server.token not in repr(load_contexts())


def test_whoami_says_how_it_is_known_and_what_it_is_bound_to(logged_in, server):
    table = logged_in("whoami").out
    assert "user:admin" in table
    assert "token" in table
    assert "roles/admin" in table
    found = json.loads(logged_in("whoami", "-o", "json").out)
    assert found["principal"] == "user:admin"
    assert found["method"] == "AUTHENTICATION_METHOD_TOKEN"
    assert server.token not in table


def test_what_the_server_does_not_take_is_not_kept(mreg, server, typed):
    typed("mreg_nonsense")
    result = mreg("login", "--server", server.endpoint, "--token-stdin")
    assert result.code == 4
    assert "mreg_nonsense" not in result.err
    assert not default_path().exists()


@pytest.mark.parametrize(
    "options",
    [["--device"], ["--token-stdin", "--device", "--issuer", "x", "--client-id", "y"], ["--issuer", "x"], [],
     ["--token-stdin", "--token-file", "x"]],
    ids=range(5),
)  # fmt: skip
def test_ways_in_that_contradict_each_other_or_lack_something_are_a_usage_error(mreg, server, typed, options):
    typed("")
    assert mreg("login", "--server", server.endpoint, *options).code == 2
    assert not default_path().exists()


def test_a_token_file_stays_where_it_is_and_is_followed(mreg, server, tmp_path, typed):
    path = tmp_path / "token"
    path.write_text(server.token)
    assert mreg("login", "--server", server.endpoint, "--token-file", path, "--name", "by-file").code == 0
    assert server.token not in default_path().read_text()
    assert mreg("whoami", "-o", "name").out.strip() == "user:admin"
    path.write_text("mreg_rotated_to_nonsense")
    assert mreg("whoami").code == 4


def test_several_servers_are_told_apart_by_their_contexts(logged_in, server, typed):
    with running() as second:
        typed(second.token)
        assert logged_in("login", "--server", second.endpoint, "--token-stdin", "--name", "second").code == 0
        lines = logged_in("contexts").out.splitlines()
        assert [line.split()[0] for line in lines if second.endpoint in line] == ["*"]
        assert logged_in("projects", "create", "only-there").code == 0
        assert logged_in("projects", "get", "only-there").code == 0
        assert logged_in("projects", "get", "only-there", "--context", server.endpoint).code == 3
        assert logged_in("contexts", "use", server.endpoint).code == 0
        assert logged_in("projects", "get", "only-there").code == 3
        with Registry(context="second") as registry:
            assert registry.get_project("only-there").name == "projects/only-there"
        found = json.loads(logged_in("contexts", "list", "-o", "json").out)
        assert {each["name"]: each["current"] for each in found} == {server.endpoint: True, "second": False}
        assert second.token not in logged_in("contexts", "list", "-o", "yaml").out
        assert logged_in("contexts", "remove", "second").code == 0
        assert second.token not in default_path().read_text()
    assert logged_in("contexts", "use", "second").code == 2
    assert logged_in("contexts", "list", "-o", "name").out.split() == [server.endpoint]


def test_a_flag_wins_over_the_environment_over_the_context(logged_in, server, monkeypatch, tmp_path):
    monkeypatch.setenv("MREG_TOKEN", "mreg_wrong")
    assert logged_in("whoami").code == 4
    good = tmp_path / "good"
    good.write_text(server.token)
    assert logged_in("whoami", "--token-file", good).code == 0
    monkeypatch.delenv("MREG_TOKEN")
    monkeypatch.setenv("MREG_CONTEXT", "nowhere")
    result = logged_in("whoami")
    assert result.code == 2
    assert "there is no context 'nowhere'" in result.err


def test_the_secret_of_a_context_goes_to_no_other_server(logged_in, server, monkeypatch):
    with running() as other:
        monkeypatch.setenv("MREG_DATA_DIR", str(Path("/nonexistent")))
        result = logged_in("whoami", "--endpoint", other.endpoint)
        assert result.code == 4
        assert "send `authorization" in result.err or "TOKEN_MISSING" in result.err
    result = logged_in("whoami", "--endpoint", "127.0.0.1:9", "--context", server.endpoint)
    assert result.code == 2
    assert "leave one of them out" in result.err


def test_logging_out_forgets_the_secret_and_keeps_the_address(logged_in, server):
    assert logged_in("logout").code == 0
    text = default_path().read_text()
    assert server.token not in text
    assert server.endpoint in text
    assert logged_in("whoami").code == 4
    assert "mreg login" in logged_in("whoami").err


def test_contexts_that_others_can_read_are_not_used(logged_in):
    default_path().chmod(0o644)
    result = logged_in("whoami")
    assert result.code == 4
    assert "chmod 600" in result.err


def test_contexts_that_are_broken_are_told_so(logged_in):
    default_path().write_text("contexts = 5")
    result = logged_in("whoami")
    assert result.code == 2
    assert str(default_path()) in result.err


def test_a_login_by_certificate_needs_no_token(mreg, tmp_path):
    authority = Authority("clients")
    own, ours = authority.identity("dns:localhost"), authority.identity("dns:ci.example")
    files = {
        "s.pem": own.certificate,
        "s.key": own.key,
        "c.pem": ours.certificate,
        "c.key": ours.key,
        "ca": authority.pem,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    settings = {"listen": "mtls://127.0.0.1:0", "tls_cert": "s.pem", "tls_key": "s.key", "tls_client_ca": "ca"}
    settings |= {name: str(tmp_path / value) for name, value in settings.items() if name != "listen"}
    with running(settings) as secured:
        endpoint = f"localhost:{secured.port}"
        tls = {"ca_file": tmp_path / "ca", "client_cert": tmp_path / "c.pem", "client_key": tmp_path / "c.key"}
        with Registry(endpoint, token=secured.token, **tls) as registry:
            registry.create_service_account("ci", certificate_names=["dns:ci.example"])
        options = [part for name, path in tls.items() for part in (f"--{name.replace('_', '-')}", path)]
        result = mreg("login", "--server", endpoint, *options)
        assert result.code == 0, result.err
        assert "as serviceAccount:default/ci" in result.err
        assert json.loads(mreg("whoami", "-o", "json").out)["method"] == "AUTHENTICATION_METHOD_CERTIFICATE"


def device_login(server, provider, user, *options):
    """Log in as `user`, who approves in the provider's pages."""
    command = [
        *MREG,
        "login",
        "--server",
        server.endpoint,
        "--device",
        "--issuer",
        provider.url,
        "--client-id",
        CLIENT_ID,
    ]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        address = process.stderr.readline().removeprefix("open ").strip()
        assert "approve the code" in process.stderr.readline()
        provider.approve(address, user)
        told = process.stderr.read()
        assert process.wait(60) == 0, told
    assert f"as user:corp/{user}" in told
    return told


def ended(contexts, name):
    """As they are when the token of that one has ended."""
    context = contexts.find(name)
    return contexts.with_context(replace(context, oidc=replace(context.oidc, refresh_at=0.0, expires=0.0)))


def test_a_login_at_an_issuer_is_renewed_when_its_token_ends_by_one_of_many(mreg, server, provider):
    device_login(server, provider, "ada")
    found = json.loads(mreg("whoami", "-o", "json").out)
    assert (found["principal"], found["groups"]) == ("user:corp/ada", ["group:corp/ml"])
    first = load_contexts().by_name[server.endpoint].oidc
    assert 0 < first.refresh_at < first.expires < time.time() + 121
    change_contexts(lambda contexts: ended(contexts, server.endpoint))
    asked = provider.control("counts")["/token"]
    with Registry() as one, Registry() as other:
        principals = []
        callers = [
            threading.Thread(target=lambda it=it: principals.append(it.caller().principal)) for it in (one, other) * 4
        ]
        for each in callers:
            each.start()
        for each in callers:
            each.join()
    assert principals == ["user:corp/ada"] * 8
    assert provider.control("counts")["/token"] == asked + 1, "one asks, the others take what it got"
    second = load_contexts().by_name[server.endpoint].oidc
    assert second.refresh_token != first.refresh_token, "this issuer takes each of them once"
    assert stat.S_IMODE(default_path().stat().st_mode) == 0o600
    # Logged out, the issuer is told, and what is left in memory gets nothing new.
    with Registry() as late:
        assert late.caller().principal == "user:corp/ada"
        assert mreg("logout").code == 0
        assert tomllib.loads(default_path().read_text())["contexts"][server.endpoint] == {"endpoint": server.endpoint}
        assert provider.control("counts")["/token/revocation"] == 1
        tokens = late.connection.settings.tokens
        tokens._login = replace(tokens._login, refresh_at=0.0, expires=0.0)
        with pytest.raises(Unauthenticated, match="mreg login"):
            late.caller()


def test_a_device_login_nobody_grants_is_not_kept(mreg, server, provider):
    result = mreg("login", "--server", server.endpoint, "--device", "--issuer", provider.url, "--client-id", "unknown")
    assert result.code == 4
    assert "invalid_client" in result.err
    result = mreg(
        "login", "--server", server.endpoint, "--device", "--issuer", "http://issuer.example", "--client-id", "x"
    )
    assert result.code == 4
    assert "https only" in result.err
    assert not default_path().exists()


def test_no_secret_is_in_what_commands_print(logged_in, server):
    for command in (["whoami", "-v"], ["contexts"], ["doctor"], ["contexts", "list", "-o", "json"]):
        result = logged_in(*command)
        assert server.token not in result.out + result.err
    assert os.environ["XDG_CONFIG_HOME"] in str(default_path())


def test_a_server_too_old_to_say_who_calls_is_told_so_and_nothing_is_kept(mreg, typed):
    old = grpc.server(ThreadPoolExecutor(1))
    port = old.add_insecure_port("127.0.0.1:0")
    old.start()
    try:
        typed("mreg_x")
        result = mreg("login", "--server", f"127.0.0.1:{port}", "--token-stdin")
    finally:
        old.stop(0)
    assert result.code != 0
    assert "cannot say who calls" in result.err
    assert not default_path().exists()
