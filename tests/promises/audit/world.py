"""An audit trail on a real engine, what an auditor keeps of it, and somebody with every right over the database."""

import json
from dataclasses import replace
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, text
from typer.testing import CliRunner

from registry_grpc.cli import audit_files
from registry_grpc.cli.app import app, with_globals_first
from registry_grpc.domain.calls import Call, Principal
from registry_grpc.domain.events import Occurrence
from registry_grpc.domain.merkle import leaf_hash
from registry_grpc.domain.names import ModelName
from registry_grpc.domain.notes import Signer
from registry_grpc.server.ids import RandomIds
from registry_grpc.services.codec.audit import checkpoint_to_wire, recorded_to_wire
from registry_grpc.storage.sql.tables import audit
from registry_grpc.usecases import audit as verbs
from registry_grpc.usecases.audit_checkpoints import SignCheckpoint
from registry_grpc.usecases.models import CreateModel

MINUTE = timedelta(minutes=1)


class Alarm:
    """What the checkpointer reported."""

    def __init__(self):
        self.sizes = []
        self.refusals = []

    def signed(self, checkpoint):
        self.sizes.append(checkpoint.size)

    def refused(self, why):
        self.refusals.append(why)


class World:
    """One trail."""

    def __init__(self, store, artifacts, directory):
        self.store = store
        self.artifacts = artifacts
        self.directory = directory
        self.signer = Signer.of(f"registry-grpc/{store.registry_uid}", Ed25519PrivateKey.generate())
        self.alarm = Alarm()
        self.sign = self.checkpointer()
        self._models = 0

    def checkpointer(self, signer=None, former=()):
        return SignCheckpoint(self.store, self.artifacts, signer or self.signer, former, self.alarm)

    def happen(self, count=1):
        """So many changes, and a refused one."""
        for _ in range(count):
            self._models += 1
            call = Call(
                principal=Principal("user:ada", method="oidc"),
                method="ModelService.CreateModel",
                request_id=f"00000000-0000-0000-0000-{self._models:012d}",
                peer="ipv4:192.0.2.1:4711",
            )
            CreateModel(self.store, RandomIds())(call, ModelName("default", f"m{self._models}"), {})
        denial = Occurrence(
            actor="user:eve",
            method="ModelService.DeleteModel",
            resource="projects/default/models/m1",
            request_id="x",
            outcome="PERMISSION_MISSING",
            authentication="token",
            peer="ipv4:192.0.2.66:4711",
        )
        self.store.record_occurrences([denial])

    def fill(self, count):
        """So many entries at once."""
        denial = Occurrence(actor="user:eve", method="A.B", resource="r", request_id="", outcome="INVALID_FIELD")
        for begin in range(0, count, 1000):
            self.store.record_occurrences([denial] * min(1000, count - begin))

    def size(self):
        return self.store.read(lambda reader: reader.trail.size())

    def tamper(self, statement, **values):
        """As whoever has full rights over the database."""
        self.store.write(lambda unit: unit.session.connection.execute(text(statement), values) and None)

    def row(self, number):
        return self.store.read(
            lambda reader: reader.session.connection.execute(select(audit).where(audit.c.audit_index == number)).one()
        )

    def rewrite(self, number, **fields):
        """Change an entry with its leaf, and forget every hash and head that would tell."""
        entry = self.store.read(lambda reader: reader.trail.get(number - 1)).entry
        forged = replace(entry, **fields)
        changes = ", ".join(f"{name} = :{name}" for name in fields)
        statement = f"UPDATE audit SET {changes}, leaf = :leaf WHERE audit_index = :number"  # noqa: S608 -- names of fields
        self.tamper(statement, leaf=forged.leaf(), number=number, **fields)
        self.tamper("DELETE FROM audit_node")
        self.tamper("DELETE FROM audit_checkpoint")
        assert leaf_hash(forged.leaf()) != leaf_hash(entry.leaf())

    def export(self, name="export.jsonl"):
        """As `mreg audit export` writes it."""
        path = self.directory / name
        checkpoint = verbs.GetCheckpoint(self.store).newest()
        read, at, lines = verbs.ReadAuditEntries(self.store), 0, []
        end = checkpoint.size if checkpoint else read.size()
        while at < end and (found := read(at, end)):
            lines += [audit_files.line_of(recorded_to_wire(each)) for each in found]
            at = found[-1].entry.index + 1
        if checkpoint:
            lines.append(audit_files.line_of(checkpoint_to_wire(checkpoint)))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def keep(self, checkpoint, name="kept.note"):
        """A note as the auditor keeps it."""
        path = self.directory / name
        path.write_text(checkpoint.note, encoding="utf-8")
        return path

    def verify(self, export, *kept, key=None):
        """`mreg audit verify`, offline: exit code and what it said."""
        options = [part for path in kept for part in ("--checkpoint", str(path))]
        line = ["audit", "verify", str(export), "--key", str(key or self.signer.verifier), *options]
        done = CliRunner().invoke(app, with_globals_first(line))
        return done.exit_code, done.output.strip()


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
