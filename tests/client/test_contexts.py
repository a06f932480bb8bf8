"""The file of logins, and tokens that end."""

import multiprocessing
import threading
import time
from dataclasses import replace

import pytest

from registry_grpc.client import InvalidArgument, Registry, Unauthenticated, Unavailable
from registry_grpc.client.contexts import (
    Context,
    Contexts,
    OidcLogin,
    change_contexts,
    default_path,
    load_contexts,
)
from registry_grpc.client.errors import ResourceExhausted
from registry_grpc.client.retries import Patience
from registry_grpc.client.settings import load
from registry_grpc.client.tokens import LoginTokens

LOGIN = OidcLogin(issuer="http://127.0.0.1:9", client_id="mreg-cli", token="old", refresh_token="again")


def kept(*contexts, current=""):
    return change_contexts(lambda _: Contexts(current, {each.name: each for each in contexts}))


@pytest.mark.parametrize(
    "text", ["plain", 'quo"te', "back\\slash", "new\nline", "é ☃ \U0001f600", "\x7f\x01", "a.b-c [d]", "'"]
)
def test_what_is_written_is_read_again(text):
    context = Context(
        name=text,
        endpoint=text,
        project=text,
        insecure=True,
        token=text,
        oidc=replace(LOGIN, token=text, refresh_at=1234567890.5, expires=1e12),
    )
    kept(context, current=text)
    assert load_contexts() == Contexts(text, {text: context})


def test_nothing_is_kept_when_a_change_fails_and_no_unfinished_file_stays():
    kept(Context(name="a", endpoint="a:1"))
    with pytest.raises(InvalidArgument):
        change_contexts(lambda contexts: contexts.without("b"))
    assert set(load_contexts().by_name) == {"a"}
    assert {each.name for each in default_path().parent.iterdir()} == {"contexts.toml", "contexts.toml.lock"}


def add(number):
    change_contexts(lambda contexts: contexts.with_context(Context(name=f"c{number}", endpoint="a:1")))


def test_processes_that_change_it_at_once_lose_nothing():
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=add, args=(number,)) for number in range(4)]
    for each in processes:
        each.start()
    for each in processes:
        each.join(60)
    assert set(load_contexts().by_name) == {f"c{number}" for number in range(4)}


@pytest.mark.parametrize(
    "text",
    ["x", "[contexts.a]\nendpoint = 5\nstrange = 1", "[contexts.a]", "contexts = 1", "[contexts.a]\nendpoint = 5"],
)
def test_a_file_that_is_no_file_of_contexts_is_told_so(text):
    kept()
    default_path().write_text(text)
    with pytest.raises(InvalidArgument, match=r"contexts\.toml cannot be used"):
        load_contexts()


def test_the_current_context_says_all_there_is_to_say_about_a_server(tmp_path):
    kept(
        Context(name="prod", endpoint="prod.example:1", project="team", ca_file="/ca.pem", token="mreg_t"),
        current="prod",
    )
    found = load()
    assert (found.endpoint, found.project, str(found.ca_file), found.tls) == ("prod.example:1", "team", "/ca.pem", True)
    assert found.tokens.token() == "mreg_t"
    assert "mreg_t" not in repr(found) + repr(load_contexts())


def test_another_endpoint_gets_nothing_of_the_current_context(monkeypatch):
    kept(Context(name="prod", endpoint="prod.example:1", ca_file="/ca.pem", token="mreg_t"), current="prod")
    for found in (load("other.example:1"), load("prod.example:2")):
        assert (found.tokens.token(), found.ca_file) == ("", None)
    assert load("prod.example:1").tokens.token() == "mreg_t"
    monkeypatch.setenv("MREG_ENDPOINT", "other.example:1")
    assert load().tokens.token() == ""
    # An argument wins over the environment, with all that belongs to it.
    named = load(context="prod")
    assert (named.endpoint, named.tokens.token()) == ("prod.example:1", "mreg_t")
    monkeypatch.setenv("MREG_CONTEXT", "prod")
    with pytest.raises(InvalidArgument, match="leave one of them out"):
        load()
    assert load("third.example:1").tokens.token() == ""


def test_a_context_without_a_secret_does_not_borrow_the_admin_token(monkeypatch, tmp_path):
    (tmp_path / "admin.token").write_text("mreg_admin")
    (tmp_path / "admin.token").chmod(0o600)
    monkeypatch.setenv("MREG_DATA_DIR", str(tmp_path))
    assert load().tokens.token() == "mreg_admin"
    kept(Context(name="here", endpoint="127.0.0.1:7470"), current="here")
    assert load().tokens.token() == ""
    assert load(client_cert="/c", client_key="/k", endpoint="127.0.0.1:1").tokens.token() == "", (
        "a certificate says who"
    )


def test_a_login_whose_issuer_is_away_goes_on_until_its_token_ends():
    now = time.time()
    login = replace(LOGIN, refresh_at=now - 1, expires=now + 60)
    kept(Context(name="c", endpoint="a:1", oidc=login), current="c")
    assert LoginTokens("c", login).token() == "old"
    ended = replace(login, expires=now - 1)
    kept(Context(name="c", endpoint="a:1", oidc=ended), current="c")
    with pytest.raises(Unavailable, match="does not answer"):
        LoginTokens("c", ended).token()
    with pytest.raises(Unauthenticated, match="mreg login"):
        LoginTokens("gone", ended).token()


def test_an_issuer_reached_in_the_clear_gets_no_secret():
    far = replace(LOGIN, issuer="http://issuer.example")
    kept(Context(name="c", endpoint="a:1", oidc=far), current="c")
    with pytest.raises(Unauthenticated, match="https only"), Registry() as registry:
        registry.caller()


def test_a_stream_that_ended_with_its_token_goes_on_with_the_next_one_once():
    patience = Patience(threading.Event())
    error = Unauthenticated("ended", reason="TOKEN_EXPIRED")
    patience.wait(error)
    with pytest.raises(Unauthenticated):
        patience.wait(error)
    patience.moved()
    patience.wait(error)
    for other in (Unauthenticated("no", reason="TOKEN_REVOKED"), ResourceExhausted("no", reason="QUOTA_EXCEEDED")):
        with pytest.raises(type(other)):
            Patience(threading.Event()).wait(other)
