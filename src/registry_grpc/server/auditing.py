"""The audit trail: its key, its use cases, and the job that signs its head; a part of the composition root."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.domain.notes import Signer, Verifier, new_key_pem
from registry_grpc.server.leader import Job
from registry_grpc.services.audit import AuditVerbs
from registry_grpc.usecases import audit
from registry_grpc.usecases.audit_checkpoints import GrowTree, SignCheckpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from registry_grpc.domain.audit import StoredCheckpoint
    from registry_grpc.observability.metrics import Metrics
    from registry_grpc.ports.artifacts import ArtifactStore
    from registry_grpc.ports.store import Store
    from registry_grpc.server.composition import Foundation
    from registry_grpc.server.settings import Settings

FILE_NAME = "audit.key"
LOOK_S = 10.0
"""How often it is looked whether a checkpoint is due."""
GROW_S = 60.0
_LOG = logging.getLogger("registry_grpc.audit")


class Auditing(NamedTuple):
    """What there is of the audit trail."""

    verbs: AuditVerbs
    jobs: Sequence[Job]


class CheckpointReport:
    """Checkpoints in the log and in metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._size = metrics.audit_checkpoint_size.set
        self._refused = metrics.audit_checkpoints_refused.inc

    def signed(self, checkpoint: StoredCheckpoint) -> None:
        """The note itself is logged: a log that is shipped elsewhere is one more witness."""
        self._size(checkpoint.size)
        _LOG.info("audit checkpoint", extra={"size": checkpoint.size, "note": checkpoint.note})

    def refused(self, why: str) -> None:
        """Somebody must look."""
        self._refused()
        _LOG.error("the audit trail was changed, no checkpoint is signed", extra={"why": why})


def auditing(store: Store, artifacts: ArtifactStore, foundation: Foundation) -> Auditing:
    """The audit trail; without a key nothing is signed.

    Raises: ValueError, OSError for a key that cannot be used.
    """
    settings = foundation.settings
    signer = signer_of(settings, f"registry-grpc/{store.registry_uid}")
    former = tuple(Verifier.parse(text) for text in settings.audit_former_keys)
    report = CheckpointReport(foundation.metrics)
    sign = None if signer is None else SignCheckpoint(store, artifacts, signer, former, report)
    verbs = AuditVerbs(
        list=audit.ListAuditEntries(store),
        read=audit.ReadAuditEntries(store),
        checkpoints=audit.GetCheckpoint(store),
        prove_inclusion=audit.ProveInclusion(store),
        prove_consistency=audit.ProveConsistency(store),
        sign=sign,
    )
    job = Job("audit checkpoint", LOOK_S, sign) if sign else Job("audit tree", GROW_S, GrowTree(store))
    return Auditing(verbs, [job])


def signer_of(settings: Settings, origin: str) -> Signer | None:
    """The signer of the settings; an embedded server makes a key of its own, another one without a key has none.

    Raises: ValueError, OSError.
    """
    if not settings.audit_checkpoints:
        return None
    path = settings.audit_key_file
    if path is None:
        if not settings.embedded:
            return None
        path = settings.data_dir / FILE_NAME
        if not path.exists():
            _write_key(path)
    return Signer.parse(path.read_text(), origin)


def _write_key(path: Path) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(new_key_pem())
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
