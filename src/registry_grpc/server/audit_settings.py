"""What is wrong with the settings of the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.notes import Signer, Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def audit_faults(key_file: Path | None, former_keys: Sequence[str]) -> list[str]:
    """One line for each fault; nothing of a private key is in it."""
    faults = []
    try:
        if key_file is not None:
            Signer.parse(key_file.read_text(errors="replace"), "registry-grpc")
    except (ValueError, OSError) as error:
        faults.append(f"audit_key_file: {error}")
    for text in former_keys:
        try:
            Verifier.parse(text)
        except ValueError as error:
            faults.append(f"audit_former_keys: {error}")
    return faults
