import subprocess
import sys

import pytest

from registry_grpc.client import InvalidArgument, Registry, Unauthenticated
from registry_grpc.client.settings import is_loopback, load, target_of


@pytest.mark.parametrize(
    ("endpoint", "loopback"),
    [
        ("127.0.0.1:7470", True),
        ("127.8.8.8:1", True),
        ("localhost:7470", True),
        ("[::1]:7470", True),
        ("dns:///localhost:7470", True),
        ("unix:/run/mreg.sock", True),
        ("registry.example.com:7470", False),
        ("10.0.0.1:7470", False),
        ("[2001:db8::1]:7470", False),
        ("dns:///registry.example.com:7470", False),
        ("localhost.example.com:7470", False),
        ("127.0.0.1.example.com:7470", False),
    ],
)
def test_only_this_machine_is_loopback(endpoint, loopback):
    assert is_loopback(endpoint) is loopback
    assert load(endpoint).tls is not loopback


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("registry:7470", "registry:7470"),
        ("127.0.0.1:1,127.0.0.1:2", "ipv4:127.0.0.1:1,127.0.0.1:2"),
        ("[::1]:1,[::1]:2", "ipv6:[::1]:1,[::1]:2"),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", "ipv4:10.0.0.1:1,10.0.0.2:1"),
        ("dns:///registry:7470", "dns:///registry:7470"),
    ],
)
def test_several_addresses_become_one_target(endpoint, target):
    assert target_of(endpoint) == target


@pytest.mark.parametrize("endpoint", ["a:1,b:2", "127.0.0.1:1,[::1]:1", "127.0.0.1:1,127.0.0.1", "127.0.0.1:1,"])
def test_several_endpoints_that_are_not_all_addresses_are_refused_with_what_to_give(endpoint):
    with pytest.raises(InvalidArgument, match="dns:///name:port"):
        load(endpoint)


def test_several_endpoints_are_this_machine_only_when_all_of_them_are():
    assert not load("127.0.0.1:1,127.0.0.1:2").tls
    assert load("127.0.0.1:1,10.0.0.1:2").tls


def test_arguments_win_over_the_environment_over_defaults(monkeypatch, tmp_path):
    assert load().endpoint == "127.0.0.1:7470"
    monkeypatch.setenv("MREG_ENDPOINT", "a.example.com:1")
    monkeypatch.setenv("MREG_PROJECT", "team")
    monkeypatch.setenv("MREG_TOKEN", "from-environment")
    monkeypatch.setenv("MREG_CACHE_DIR", str(tmp_path))
    settings = load()
    assert (settings.endpoint, settings.project, settings.cache_dir) == ("a.example.com:1", "team", tmp_path)
    assert settings.tokens.token() == "from-environment"
    settings = load("b.example.com:2", project="other", token="given")
    assert (settings.endpoint, settings.project, settings.tokens.token()) == ("b.example.com:2", "other", "given")


def test_a_rotated_token_file_is_read_again(tmp_path):
    file = tmp_path / "token"
    file.write_text("one\n")
    tokens = load("h.example.com:1", token_file=file).tokens
    assert tokens.token() == "one"
    file.unlink()
    file.write_text("two, and longer")
    assert tokens.token() == "two, and longer"
    file.unlink()
    with pytest.raises(Unauthenticated, match="cannot be read"):
        tokens.token()


def test_the_admin_token_is_found_only_for_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("MREG_DATA_DIR", str(tmp_path))
    tokens = load("127.0.0.1:7470").tokens
    assert tokens.token() == ""
    (tmp_path / "admin.token").write_text("secret")
    (tmp_path / "admin.token").chmod(0o600)
    assert tokens.token() == "secret"
    assert load("registry.example.com:7470").tokens.token() == ""


def test_an_admin_token_others_can_read_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("MREG_DATA_DIR", str(tmp_path))
    (tmp_path / "admin.token").write_text("secret")
    (tmp_path / "admin.token").chmod(0o644)
    with pytest.raises(Unauthenticated, match="chmod 600"):
        load().tokens.token()


def test_no_secret_is_shown():
    settings = load("h.example.com:1", token="mreg_topsecret")
    assert "topsecret" not in repr(settings)
    assert "topsecret" not in repr(Registry("h.example.com:1", token="mreg_topsecret"))


def test_contradictions_are_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="contradict"):
        load("h.example.com:1", insecure=True, ca_file=tmp_path / "ca.pem")
    with pytest.raises(InvalidArgument, match="go together"):
        load("h.example.com:1", client_cert=tmp_path / "c.pem")
    with pytest.raises(InvalidArgument, match="no valid id"):
        load(project="No Good")


def test_a_reference_to_another_registry_is_refused_without_connecting():
    registry = Registry("127.0.0.1:1", token="t")
    with pytest.raises(InvalidArgument, match="talks to"):
        registry.resolve("mreg://evil.example.com:7470/default/fraud")


def test_the_sdk_loads_no_server_and_no_terminal():
    # Beside gRPC's own import, in the same process: a busy machine slows both.
    program = (
        "import sys, time; begin = time.process_time(); import grpc, google.protobuf.message; "
        "theirs = time.process_time() - begin; import registry_grpc.client; "
        "print((time.process_time() - begin - theirs) / theirs, *sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert float(out[0]) < 4
    assert not {"sqlalchemy", "typer", "rich", "minio", "registry_grpc.domain", "registry_grpc.server"} & set(out)
