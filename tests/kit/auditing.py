"""The audit trail of a server, for tests: what it says, and servers that sign it."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from registry_grpc.domain.notes import Verifier, new_key_pem
from registry_grpc.v1 import audit_pb2, audit_pb2_grpc
from tests.kit.catalogue import pages
from tests.kit.deployments import DISTRIBUTED, deployed
from tests.kit.server import RegistryServer
from tests.kit.waiting import until

Stub = audit_pb2_grpc.AuditServiceStub


@contextlib.contextmanager
def audited(kind: str, environment: Mapping[str, str], **settings: str) -> Iterator[RegistryServer]:
    """A running server of that kind that signs checkpoints."""
    with tempfile.TemporaryDirectory(prefix="mreg-audit-") as directory:
        if kind == DISTRIBUTED:  # an embedded one makes a key of its own
            key = Path(directory) / "audit.key"
            key.write_text(new_key_pem())
            settings["audit_key_file"] = str(key)
        with deployed(kind, environment, **settings) as server:
            yield server


def entries(stub: Stub, parent: str = "", **fields: Any) -> list[audit_pb2.AuditEntry]:
    """Those listed, the newest first."""
    return list(pages(stub.ListAuditEntries, audit_pb2.ListAuditEntriesRequest(parent=parent, **fields)))


def told(stub: Stub, count: int, **fields: Any) -> list[audit_pb2.AuditEntry]:
    """So many entries, once they are there: refused calls are written down within a second."""
    found: list[audit_pb2.AuditEntry] = until(lambda: len(got := entries(stub, **fields)) >= count and got, 30)
    return found


def exported(stub: Stub, **fields: Any) -> tuple[list[audit_pb2.AuditEntry], audit_pb2.Checkpoint]:
    """Entries and checkpoint of an export."""
    answers = list(stub.ExportAuditEntries(audit_pb2.ExportAuditEntriesRequest(**fields)))
    return [entry for answer in answers for entry in answer.entries], answers[-1].checkpoint


def verifier(stub: Stub) -> Verifier:
    """The key of a server's checkpoints."""
    return Verifier.parse(stub.GetAuditKey(audit_pb2.GetAuditKeyRequest()).verifier_key)
