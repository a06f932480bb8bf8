"""P13: strings that must not get out are put into every secret setting; then everything that got out is searched."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
import uuid
from urllib.parse import quote

import grpc
import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from registry_grpc.v1 import models_pb2, stages_pb2
from tests.kit.catalogue import Catalogue, request_id
from tests.kit.deployments import distributed_settings
from tests.kit.proxy import Proxy
from tests.kit.refusals import Refusal, attempt, refusal_of
from tests.kit.server import Api, RegistryServer, WithToken, running
from tests.kit.waiting import until
from tests.promises.writes.load import creation

PASSWORD = "canary/pass:word@?#%20" + uuid.uuid4().hex
"""With every character that means something in a URL."""
TYPED = 'evil"\n{"event":"forged"}\x1b[2J'
_STACK = ("Traceback", 'File "', "site-packages", "psycopg", "sqlalchemy", "sqlite3", ".py")


def forms(secret):
    """How a text may show up: as it is, in a URL, in JSON, in Python."""
    return {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}


class Heard:
    """Every status a client was told."""

    def __init__(self):
        self.statuses = []

    def call(self, method, *args, **kwargs):
        try:
            return method(*args, **kwargs)
        except grpc.RpcError as error:
            trailers = [f"{key}: {value!r}" for key, value in error.trailing_metadata() or ()]
            self.statuses.append("\n".join([str(error.code()), error.details() or "", *trailers]))
            return refusal_of(error)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    # The name of the key's file is a canary as well.
    directory = tmp_path_factory.mktemp("canary-tls")
    cert, key = directory / "cert.pem", directory / "canary-key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@contextlib.contextmanager
def role(url):
    """A role of the database with the canary for its password: its name, its address, and the owner's connection."""
    user = f"u{uuid.uuid4().hex}"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as owner:
        literal = psycopg.sql.Literal(PASSWORD)
        owner.execute(psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(psycopg.sql.Identifier(user), literal))
        owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}")
        try:
            yield user, make_url(url).set(username=user, password=PASSWORD).render_as_string(hide_password=False), owner
        finally:
            end_sessions(owner, user)
            owner.execute(f"DROP OWNED BY {user}")
            owner.execute(f"DROP ROLE {user}")


def end_sessions(owner, user):
    owner.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (user,)).fetchall()


def client_of(server, cert):
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.primary_user_agent", "agent/1 canary-free")]
    credentials = grpc.ssl_channel_credentials(cert.read_bytes())
    channel = grpc.secure_channel(f"localhost:{server.port}", credentials, options=options)
    return channel, Api(grpc.intercept_channel(channel, WithToken(server.token)))


def misuse(heard, api, catalogue, channel):
    """Mistakes of callers: names that are none, tokens that are none, texts made to forge a line of a log."""
    models = api.models
    heard.call(models.GetModel, models_pb2.GetModelRequest(name=f"{catalogue.parent}/models/none"))
    heard.call(models.GetModel, models_pb2.GetModelRequest(name=TYPED))
    heard.call(models.CreateModel, models_pb2.CreateModelRequest(parent=catalogue.parent, model_id=TYPED))
    heard.call(models.CreateModel, creation(TYPED))
    heard.call(catalogue.promote, f"{catalogue.parent}/models/none/versions/1", "production")
    heard.call(models.GetModel, models_pb2.GetModelRequest(name="x"), metadata=[("x-request-id", "a b\tc")])
    for wrong in ("mreg_" + "0" * 60, "x", TYPED.encode("unicode_escape").decode()):
        header = [("authorization", f"Bearer {wrong}")]
        heard.call(Api(channel).models.GetModel, models_pb2.GetModelRequest(name="x"), metadata=header)


@pytest.mark.promise("P13", "canaries")
@pytest.mark.promise("P13", "log lines")
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_gets_into_a_status_a_log_line_a_metric_or_a_row_whatever_fails(
    service_environment, certificate, log_format
):
    cert, key = certificate
    heard = Heard()
    with (
        distributed_settings(service_environment) as settings,
        Proxy(settings["s3_endpoint"]) as store,
        role(settings["database_url"]) as (user, address, owner),
    ):
        own = {
            "database_url": address,
            "listen": "tls://127.0.0.1:0",
            "tls_cert": str(cert),
            "tls_key": str(key),
            "s3_endpoint": store.endpoint,
            "log_format": log_format,
            "log_level": "debug",
        }
        with running(settings | own, failpoints="write.event.after=error@20") as server:
            channel, api = client_of(server, cert)
            catalogue = Catalogue(api)
            model = catalogue.model()
            version = catalogue.ready(model)
            catalogue.promote(version.name, "staging", justification=TYPED.replace("\x1b", "").replace("\n", " "))
            misuse(heard, api, catalogue, channel)
            # A defect in the middle of a write.
            defects = [heard.call(catalogue.model) for _ in range(20)]
            assert "INTERNAL" in {each.code for each in defects if isinstance(each, Refusal)}
            # The store of bytes refuses.
            store.fault(refuse=True)
            store.cut()
            assert heard.call(catalogue.ready, model).code == "UNAVAILABLE"
            store.heal()
            # The database no longer takes the password, and ends what was open.
            owner.execute(f"ALTER ROLE {user} PASSWORD 'another'")
            end_sessions(owner, user)
            for call in (
                catalogue.model,
                lambda: catalogue.versions(model),
                lambda: api.stages.Resolve(stages_pb2.ResolveRequest(name=model, version=1)),
            ):
                assert heard.call(call).reason == "DATABASE_UNAVAILABLE"
            until(lambda: "cannot read the database" in server.log, within_s=10)
            metrics = scrape(server)
            token = server.token
            channel.close()
            server.stop()
            log = server.log
        rows = everything_in(settings["database_url"])
        secrets = {
            "database password": PASSWORD,
            "address of the database": address,
            "S3 secret key": settings["s3_secret_key"],
            "S3 access key": settings["s3_access_key"],
            "token": token,
            "TLS key": key.read_text().splitlines()[1],
        }
        outputs = {"log": log, "metrics": metrics, "rows": rows} | dict(enumerate(heard.statuses))
        for where, output in outputs.items():
            assert output
            for what, secret in secrets.items():
                assert not [form for form in forms(secret) if form in output], f"{what} in {where}"
    assert len(heard.statuses) > 10
    for place in [*heard.statuses, rows]:
        assert not [word for word in (*_STACK, str(key), str(server.data_dir), user) if word in place], place[:2000]
    # Names of callers' things are no labels.
    assert model not in metrics
    assert catalogue.parent.partition("/")[2] not in metrics
    assert "\x1b" not in log
    if log_format == "json":
        events = [json.loads(line) for line in log.splitlines()]
        assert "forged" not in {event["event"] for event in events}
        assert all({"event", "timestamp"} <= event.keys() for event in events)
    else:
        assert not [line for line in log.splitlines() if line.startswith('{"event":"forged"')]


def scrape(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=5) as answer:
        return answer.read().decode()


def everything_in(url):
    """What the log, the audit trail and the kept answers say."""
    engine = create_engine(url)
    with engine.connect() as connection:
        tables = ("event", "audit", "idempotency", "lease", "registry")
        rows = [row for table in tables for row in connection.execute(text(f"SELECT * FROM {table}"))]  # noqa: S608
    engine.dispose()
    return "\n".join(str(tuple(bytes(each) if isinstance(each, memoryview) else each for each in row)) for row in rows)


ADDRESSES = {
    "nobody listens": f"postgresql://someone:{quote(PASSWORD, safe='')}@127.0.0.1:1/registry",
    "no such host": f"postgresql://someone:{quote(PASSWORD, safe='')}@no-such-host.invalid/registry",
    "not quoted": f"postgresql://someone:{PASSWORD}@127.0.0.1:1/registry",
    "no number for a port": f"postgresql://someone:{quote(PASSWORD, safe='')}@127.0.0.1:{PASSWORD}/registry",
    "in the query": f"postgresql://127.0.0.1:1/registry?user=someone&password={quote(PASSWORD, safe='')}",
    "no URL": f"host=127.0.0.1 password={PASSWORD}",
    "another database": f"mysql://someone:{quote(PASSWORD, safe='')}@127.0.0.1/registry",
    "bad option": f"postgresql://someone:{quote(PASSWORD, safe='')}@127.0.0.1:1/registry?nonsense=1",
}


@pytest.mark.promise("P13", "canaries")
@pytest.mark.parametrize("fault", ADDRESSES)
@pytest.mark.parametrize("command", [("serve", "--listen", "127.0.0.1:0"), ("db", "check")])
def test_a_bad_address_of_the_database_is_told_without_the_password(tmp_path, fault, command):
    environment = {
        "MREG_DATABASE_URL": ADDRESSES[fault],
        "MREG_DATA_DIR": str(tmp_path),
        "MREG_METRICS_LISTEN": "off",
    }
    if command[0] == "serve":
        environment |= {"MREG_LOG_LEVEL": "debug", "MREG_ARTIFACT_STORE": "s3", "MREG_S3_ENDPOINT": "127.0.0.1:1"}
        environment |= {"MREG_S3_ACCESS_KEY": "canary-access", "MREG_S3_SECRET_KEY": "canary-secret"}
    done = mreg(*command, **environment)
    said = done.stdout + done.stderr
    assert done.returncode
    assert "Traceback" not in said
    assert len(said.strip().splitlines()[-1]) < 400
    # Parts of it as well: what comes before an unquoted @ or / is no better to be seen.
    parts = forms(PASSWORD) | {PASSWORD[-32:], "pass:word", "pass%3Aword", "canary"}
    assert not [part for part in parts if part in said], said


def mreg(*arguments, **environment):
    program = "from registry_grpc.cli.app import main; main()"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.promise("P13", "canaries")
def test_the_command_line_says_no_secret_either():
    with running() as server:
        token = server.token
        for secret, endpoint in ((token, server.endpoint), (token[:-1] + "A", server.endpoint), (token, "127.0.0.1:1")):
            done = mreg("doctor", MREG_ENDPOINT=endpoint, MREG_TOKEN=secret)
            assert done.stdout + done.stderr
            assert secret not in done.stdout + done.stderr
            assert "Traceback" not in done.stdout + done.stderr
        assert token not in server.log
        assert isinstance(server, RegistryServer)
        assert attempt(server.api().models.CreateModel, creation(request_id())).name
