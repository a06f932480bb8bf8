"""What is wrong with the settings of webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.server.listeners import existing
from registry_grpc.webhooks.guard import parse_networks
from registry_grpc.webhooks.secrets import read_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def webhook_faults(allow_networks: Sequence[str], ca_file: Path | None, key_file: Path | None) -> list[str]:
    """One line for each fault; nothing of a key is in it."""
    faults = []
    try:
        parse_networks(allow_networks)
    except ValueError as error:
        faults.append(f"webhook_allow_networks: {error}")
    try:
        existing(ca_file)
    except ValueError as error:
        faults.append(f"webhook_ca_file: {error}")
    try:
        if key_file is not None:
            read_key(key_file)
    except (ValueError, OSError) as error:
        faults.append(f"secrets_key_file: {error}")
    return faults
