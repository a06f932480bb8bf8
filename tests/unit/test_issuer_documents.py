"""Reading an issuer's documents over real HTTP and TLS: a cluster that wants a token, and peers that misbehave."""

import contextlib
import http.server
import json
import socket
import ssl
import threading
import time

import pytest

from registry_grpc.auth import documents
from registry_grpc.auth.documents import Fetcher, FetchError
from registry_grpc.auth.issuer_keys import KeySource
from tests.kit.jwts import jwks, rsa_key
from tests.kit.pki import Authority

KEY = rsa_key()
TOKEN = "cluster-token"


class Site:
    """Documents by path; what was asked for, and with which token."""

    def __init__(self):
        self.pages = {}
        self.asked = []
        self.token = ""
        self.url = ""
        self.headers = {}


@contextlib.contextmanager
def serving(site, authority=None):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            site.asked.append((self.path, self.headers.get("authorization")))
            page = site.pages.get(self.path)
            if site.token and self.headers.get("authorization") != f"Bearer {site.token}":
                self.send_error(401)
            elif page is None:
                self.send_error(404)
            elif callable(page):
                page(self)
            else:
                self.send_response(200)
                for name, value in site.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(page)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scheme = "http"
    if authority is not None:
        scheme = "https"
        server.socket = authority.wrap(server.socket)
    site.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TlsAuthority(Authority):
    def __init__(self, directory):
        super().__init__("cluster")
        self.directory = directory
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(self.pem)

    def wrap(self, plain: socket.socket):
        own = self.identity("ip:127.0.0.1", "dns:localhost")
        pair = self.directory / "pair.pem"
        pair.write_bytes(own.certificate + own.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        return context.wrap_socket(plain, server_side=True)


def discovery(site, **changes):
    facts = {"issuer": site.url, "jwks_uri": f"{site.url}/openid/v1/jwks"} | changes
    site.pages["/.well-known/openid-configuration"] = json.dumps(facts).encode()
    site.pages["/openid/v1/jwks"] = jwks(KEY)


def test_a_cluster_that_shows_its_keys_to_the_authenticated_only(tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    authority = TlsAuthority(tmp_path)
    with serving(Site(), authority) as site:
        site.token = TOKEN
        site.headers = {"cache-control": "public, max-age=1800"}
        discovery(site)
        source = KeySource(issuer=site.url, ca_file=authority.ca_file, token_file=token_file)
        keys, max_age_s = source.read()
        assert (len(keys), max_age_s) == (1, 1800.0)
        assert [path for path, _ in site.asked] == ["/.well-known/openid-configuration", "/openid/v1/jwks"]
        # Rotated, as the kubelet does it.
        site.token = "next"
        with pytest.raises(FetchError, match="status 401"):
            source.read()
        token_file.write_text("next")
        source.read()


def test_a_token_is_sent_to_no_server_that_the_authority_does_not_prove(tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    (tmp_path / "other").mkdir()
    trusted, other = TlsAuthority(tmp_path), TlsAuthority(tmp_path / "other")
    with serving(Site(), other) as site:
        discovery(site)
        with pytest.raises(FetchError, match="certificate verify failed"):
            KeySource(issuer=site.url, ca_file=trusted.ca_file, token_file=token_file).read()
        with pytest.raises(FetchError, match="certificate verify failed"):
            KeySource(issuer=site.url).read()
        assert site.asked == []


@pytest.mark.parametrize("text", ["", " ", "two words", "line\nline", "\x00"])
def test_a_file_that_holds_no_token_is_told_so_without_its_content(tmp_path, text):
    token_file = tmp_path / "token"
    token_file.write_text(text)
    with serving(Site()) as site, pytest.raises(FetchError, match="holds no token") as caught:
        Fetcher(token_file=token_file).fetch(f"{site.url}/x", 10)
    assert not text.strip() or text not in str(caught.value)


@pytest.mark.parametrize("name", ["https://other.example", "", None, 5])
def test_a_discovery_document_of_another_issuer_is_not_believed(name):
    with serving(Site()) as site:
        discovery(site, issuer=name)
        with pytest.raises(FetchError, match="not exactly"):
            KeySource(issuer=site.url).read()


@pytest.mark.parametrize("uri", ["http://keys.example/jwks", "file:///etc/passwd", "/openid/v1/jwks", None, 5])
def test_keys_are_read_from_a_trustworthy_address_only(uri):
    with serving(Site()) as site:
        discovery(site, jwks_uri=uri)
        with pytest.raises(FetchError, match="no https address"):
            KeySource(issuer=site.url).read()


def test_no_redirect_is_followed():
    with serving(Site()) as evil, serving(Site()) as site:
        evil.pages["/keys"] = jwks(KEY)

        def redirect(handler):
            handler.send_response(302)
            handler.send_header("location", f"{evil.url}/keys")
            handler.end_headers()

        site.pages["/keys"] = redirect
        with pytest.raises(FetchError, match="status 302"):
            KeySource(issuer=site.url, jwks_uri=f"{site.url}/keys").read()
        assert evil.asked == []


def test_a_document_without_end_and_one_that_drips_are_given_up(monkeypatch):
    monkeypatch.setattr(documents, "TIMEOUT_S", 0.5)

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b" " * 65536)

    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(200):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.05)  # slower than anybody should wait for

    with serving(Site()) as site:
        site.pages |= {"/endless": endless, "/drip": drip}
        with pytest.raises(FetchError, match="over 1000 bytes"):
            Fetcher().fetch(f"{site.url}/endless", 1000)
        began = time.monotonic()
        with pytest.raises(FetchError, match=r"took over 0\.5 s"):
            Fetcher().fetch(f"{site.url}/drip", 1_000_000)
        assert time.monotonic() - began < 5


def test_what_answers_nothing_or_no_http_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    with pytest.raises(FetchError, match=f"{port}"):
        Fetcher().fetch(f"http://127.0.0.1:{port}/", 10)
    with pytest.raises(FetchError, match="only https"):
        Fetcher().fetch("http://issuer.example/", 10)


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff", b"[" * 200_000])
def test_a_discovery_document_that_is_none_is_an_error(data):
    with serving(Site()) as site:
        site.pages["/.well-known/openid-configuration"] = data
        with pytest.raises(FetchError, match="openid-configuration"):
            KeySource(issuer=site.url).read()
