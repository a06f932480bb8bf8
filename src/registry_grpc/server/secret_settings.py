"""What is wrong with the settings that bring secrets: the first token, and the keys of database and artifact store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.auth.bootstrap import read_token

if TYPE_CHECKING:
    from pathlib import Path

    from registry_grpc.server.settings import Settings


def token_faults(admin_token_file: Path | None) -> list[str]:
    """One line for each fault; nothing of the token is in it."""
    try:
        if admin_token_file is not None:
            read_token(admin_token_file)
    except (OSError, ValueError) as error:
        return [f"admin_token_file: {error}"]
    return []


def store_faults(settings: Settings) -> list[str]:
    """What is there twice, or is missing."""
    faults = [
        f"{name} and {name}_file: give one of them"
        for name in ("database_url", "s3_secret_key")
        if getattr(settings, name) is not None and getattr(settings, f"{name}_file") is not None
    ]
    if settings.artifact_store == "s3":
        if not settings.s3_endpoint:
            faults.append("s3_endpoint: is required by artifact_store = s3")
        if not settings.s3_access_key:
            faults.append("s3_access_key: is required by artifact_store = s3")
        if not (settings.s3_secret_key or settings.s3_secret_key_file):
            faults.append("s3_secret_key or s3_secret_key_file: required by artifact_store = s3")
    return faults
