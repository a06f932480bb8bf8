"""Real servers: two replicas, one that is killed while it signs, and one whose database role cannot change the past."""

import secrets
from contextlib import ExitStack

import grpc
import psycopg
import pytest
from psycopg import sql

from registry_grpc.domain.notes import new_key_pem
from registry_grpc.storage.sql import schema
from registry_grpc.v1 import audit_pb2, models_pb2
from tests.kit.auditing import exported, verifier
from tests.kit.engines import ROOT
from tests.kit.refusals import refused
from tests.kit.server import distributed, running
from tests.kit.waiting import until

FORBIDDEN = {"event": "payload", "audit": "actor", "audit_node": "hash", "audit_checkpoint": "note"}
"""Tables that are only added to, each with one of its columns."""


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "audit.key"
    path.write_text(new_key_pem())
    return path


def create(api, model):
    api.models.CreateModel(models_pb2.CreateModelRequest(parent="projects/default", model_id=model))


@pytest.mark.promise("P12", "checkpoints")
def test_two_replicas_sign_one_trail(postgres_url, minio_bucket, key_file, tmp_path):
    settings = distributed(postgres_url, minio_bucket) | {"audit_key_file": str(key_file)}
    with ExitStack() as stack:
        first, second = (stack.enter_context(running(settings)) for _ in range(2))
        one, other = first.api(), second.api(first.token)
        for number in range(5):
            create((one, other)[number % 2], f"m{number}")
        heads = [exported(api.audit, fresh_checkpoint=True)[1] for api in (one, other, one)]
        assert verifier(one.audit) == verifier(other.audit)
        sizes = [verifier(one.audit).open(head.note).size for head in heads]
        assert sizes == sorted(sizes)
        create(other, "more")
        entries, head = exported(one.audit, fresh_checkpoint=True)
        assert head.size == len(entries) > sizes[0]
        proof = audit_pb2.GetConsistencyProofRequest(first_size=sizes[0], second_size=head.size)
        assert one.audit.GetConsistencyProof(proof) == other.audit.GetConsistencyProof(proof)
        # Objects of the trail are nobody's orphans.
        keys = {found.object_name for found in minio_bucket.client().list_objects(minio_bucket.name, recursive=True)}
        assert f"audit/checkpoints/{head.size:020d}" in keys


@pytest.mark.promise("P12", "checkpoints")
@pytest.mark.parametrize("failpoint", ["audit.checkpoint.before", "audit.checkpoint.kept"])
def test_a_checkpointer_that_was_killed_is_gone_on_from(failpoint):
    with running(failpoints=f"{failpoint}=kill@2") as server:
        api = server.api()
        until(lambda: list(api.audit.ListCheckpoints(audit_pb2.ListCheckpointsRequest()).checkpoints), 30)
        kept = api.audit.GetCheckpoint(audit_pb2.GetCheckpointRequest())
        create(api, "m1")
        with pytest.raises(grpc.RpcError):
            exported(api.audit, fresh_checkpoint=True)
        until(lambda: server.fired[failpoint], 30)
        server.kill()
        server.failpoints = ""
        server.start()
        api = server.api()
        create(api, "m2")
        entries, head = exported(api.audit, fresh_checkpoint=True)
        assert head.size == len(entries) > kept.size
        assert verifier(api.audit).open(head.note).root == head.root_hash
        notes = {path.name for path in (server.data_dir / "artifacts").rglob("0*") if path.is_file()}
        for each in api.audit.ListCheckpoints(audit_pb2.ListCheckpointsRequest()).checkpoints:
            assert f"{each.size:020d}" in notes


@pytest.mark.promise("P12", "rights")
def test_the_server_works_under_a_role_that_cannot_change_the_past(postgres_url, minio_bucket, key_file):
    settings = distributed(postgres_url, minio_bucket) | {"audit_key_file": str(key_file), "compact_events": "false"}
    role, password = f"app_{secrets.token_hex(6)}", secrets.token_hex(16)
    address = postgres_url.replace("postgresql+psycopg://", "postgresql://", 1)
    schema.upgrade(postgres_url)
    with psycopg.connect(address, autocommit=True) as owner:
        app_role = sql.Identifier(role)
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(app_role, sql.Literal(password)))
        try:
            granted = (ROOT / "deploy/postgresql/grants.sql").read_text().replace(':"role"', app_role.as_string(owner))
            owner.execute(granted)
            info = owner.info
            database = info.dbname
            url = f"postgresql+psycopg://{role}:{password}@{info.host}:{info.port}/{database}"
            _work(settings | {"database_url": url})
            _forget_events(owner)
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as app:
                for table, column in FORBIDDEN.items():
                    named = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
                    for statement in ("DELETE FROM {table}", "UPDATE {table} SET {column} = NULL", "TRUNCATE {table}"):
                        with pytest.raises(psycopg.errors.InsufficientPrivilege):
                            app.execute(sql.SQL(statement).format(**named))
        finally:
            owner.execute(sql.SQL("DROP OWNED BY {}").format(app_role))
            owner.execute(sql.SQL("DROP ROLE {}").format(app_role))


def _work(settings):
    with running(settings) as server:
        api = server.api()
        create(api, "m")
        assert refused(create, api, "m").reason == "RESOURCE_EXISTS"
        api.models.DeleteModel(models_pb2.DeleteModelRequest(name="projects/default/models/m"))
        entries, head = exported(api.audit, fresh_checkpoint=True)
        assert head.size == len(entries)
        api.models.PurgeModel(models_pb2.PurgeModelRequest(name="projects/default/models/m"))
        until(lambda: any(e.outcome == "RESOURCE_EXISTS" for e in exported(api.audit, fresh_checkpoint=True)[0]), 30)
        assert "permission denied" not in server.log


def _forget_events(owner):
    """As whoever owns the tables does where the server may not."""
    script = (ROOT / "deploy/postgresql/forget-events.sql").read_text()

    def left(days):
        owner.execute(script.replace(":days", str(days)))
        return owner.execute("SELECT DISTINCT revision FROM event").fetchall()

    assert len(left(1)) > 1
    assert left(0) == owner.execute("SELECT revision FROM log_head").fetchall()
