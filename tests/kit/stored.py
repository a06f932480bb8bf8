"""What lies in the artifact directory of an embedded server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.garbage import MARKER_KEY
from registry_grpc.usecases.audit_checkpoints import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.server import RegistryServer


def stored_files(server: RegistryServer) -> list[Path]:
    """Files with bytes of users: without the mark of the store and the checkpoints of the audit trail."""
    objects = server.data_dir / "artifacts" / "objects"
    keys = {str(path.relative_to(objects)): path for path in objects.rglob("*") if path.is_file()}
    return [path for key, path in keys.items() if key != MARKER_KEY and not key.startswith(PREFIX)]
