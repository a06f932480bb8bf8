from pathlib import Path

import pytest

from registry_grpc.server.configuration import SettingsError, load_settings
from registry_grpc.server.listeners import TlsMode
from registry_grpc.server.settings import Settings


def faults(**kwargs):
    with pytest.raises(SettingsError) as caught:
        load_settings(**kwargs)
    return caught.value.faults


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "mreg.toml"
    path.write_text('control_threads = 3\ntransfer_threads = 3\nlog_level = "error"\n')
    return path


def test_flag_beats_environment_beats_file_beats_default(toml):
    found = load_settings(
        {"control_threads": 1, "log_level": None},
        {"MREG_CONTROL_THREADS": "2", "MREG_TRANSFER_THREADS": "2"},
        toml,
    )
    assert (found.control_threads, found.transfer_threads) == (1, 2)
    assert (found.log_level, found.db_pool_size) == ("error", 8)


def test_the_file_may_come_from_the_environment(toml):
    assert load_settings({}, {"MREG_CONFIG": str(toml)}).control_threads == 3


def test_every_fault_of_every_source_is_reported_at_once(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('nope = 1\nlog_format = "xml"\n')
    found = faults(flags={"control_threads": 0}, environ={"MREG_LISTEM": "x", "MREG_DRAIN_S": "soon"}, config=path)
    text = "\n".join(found)
    for part in ("--control-threads", "MREG_LISTEM", "MREG_DRAIN_S", "nope", "log_format"):
        assert part in text
    assert len(found) == 5


def test_variables_of_the_client_and_of_tests_are_not_ours():
    names = ("ENDPOINT", "TOKEN", "TOKEN_FILE", "CA_FILE", "CACHE_DIR", "CONTEXT", "OUTPUT", "PROJECT")
    environ = {f"MREG_{name}": "x" for name in names} | {"MREG_TEST_POSTGRES_URL": "x", "HOME": "/"}
    assert load_settings({}, environ) == Settings()


def test_a_first_token_that_is_none_is_a_fault_which_does_not_show_it(tmp_path):
    path = tmp_path / "token"
    path.write_text("mreg_hunter2")
    for given, part in ((path, "mreg tokens generate"), (tmp_path / "none", "No such file")):
        [fault] = faults(environ={"MREG_ADMIN_TOKEN_FILE": str(given)})
        assert fault.startswith("admin_token_file: ")
        assert part in fault
        assert "hunter2" not in fault


def test_lists_in_the_environment_are_separated_by_commas():
    found = load_settings({}, {"MREG_LISTEN": "127.0.0.1:1, plaintext://[::1]:2"})
    assert [str(each) for each in found.listeners] == ["plaintext://127.0.0.1:1", "plaintext://[::1]:2"]


@pytest.mark.parametrize("address", ["0.0.0.0:7470", "registry.example:7470", "[::]:7470"])
def test_plaintext_that_others_can_reach_must_be_asked_for(address):
    assert "in the clear" in faults(flags={"listen": (address,)})[0]
    allowed = load_settings({"listen": (address,), "insecure_plaintext": True})
    assert allowed.listeners[0].mode is TlsMode.PLAINTEXT


def test_a_certificate_makes_tls_the_default(tmp_path):
    for name in ("cert", "key"):
        (tmp_path / name).write_text("x")
    found = load_settings({"listen": ("0.0.0.0:1",), "tls_cert": tmp_path / "cert", "tls_key": tmp_path / "key"})
    assert found.listeners[0].mode is TlsMode.TLS


def test_tls_without_what_it_needs_is_refused():
    text = "\n".join(faults(flags={"listen": ("tls://h:1", "mtls://h:2", "http://h:3", "h")}))
    assert "tls://h:1 needs tls_cert" in text
    assert "mtls://h:2 needs tls_cert" in text
    assert "no mode" in text
    assert "no address" in text


def test_s3_needs_where_and_who():
    text = "\n".join(faults(flags={"artifact_store": "s3"}))
    for name in ("s3_endpoint", "s3_access_key", "s3_secret_key"):
        assert name in text


def test_secrets_are_in_no_repr_and_no_fault(tmp_path):
    secret = "hunter2-hunter2"
    environ = {"MREG_DATABASE_URL": f"postgresql://u:{secret}@h/d", "MREG_S3_SECRET_KEY": secret}
    found = load_settings({}, environ)
    assert secret not in repr(found) + str(found) + found.model_dump_json()
    assert secret in found.database.get_secret_value()
    again = faults(flags={"database_url_file": tmp_path / "none"}, environ=environ)
    assert secret not in "\n".join(again)


def test_secrets_may_come_from_files(tmp_path):
    (tmp_path / "url").write_text("postgresql://u:p@h/d\n")
    found = load_settings({"database_url_file": tmp_path / "url"})
    assert found.database.get_secret_value() == "postgresql://u:p@h/d"


def test_the_default_keeps_everything_below_the_data_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    found = load_settings()
    assert found.data_dir == Path(tmp_path) / "mreg"
    assert found.database.get_secret_value() == f"sqlite:///{tmp_path}/mreg/registry.db"
    assert [str(each) for each in found.listeners] == ["plaintext://127.0.0.1:7470"]


@pytest.mark.parametrize("content", [b"geheim", b"\x89\xff\x00", b"PRIVATE+KEY+log+00000000+AQ=="])
def test_a_key_of_the_audit_trail_that_signs_nothing_is_a_fault_that_shows_nothing_of_it(tmp_path, content):
    key = tmp_path / "audit.key"
    key.write_bytes(content)
    said = "\n".join(faults(flags={"audit_key_file": str(key), "audit_former_keys": "log+00000000+AQ=="}))
    assert "audit_key_file: " in said
    assert "audit_former_keys: " in said
    assert "geheim" not in said
    assert "No such file" in "".join(faults(flags={"audit_key_file": str(tmp_path / "absent")}))
