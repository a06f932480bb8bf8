"""The channel: credentials, retries, keepalive and message limits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc

from registry_grpc import __version__
from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.settings import target_of
from registry_grpc.v1 import (
    access_pb2,
    artifacts_pb2,
    audit_pb2,
    catalogue_pb2,
    deployments_pb2,
    events_pb2,
    evidence_pb2,
    governance_pb2,
    lineage_pb2,
    models_pb2,
    projects_pb2,
    server_pb2,
    stages_pb2,
    webhooks_pb2,
)

if TYPE_CHECKING:
    from pathlib import Path

    from registry_grpc.client.settings import Settings

MAX_MESSAGE_BYTES = 16 << 20
"""Answers: a page of versions with model cards may pass gRPC's 4 MiB."""
NEVER_RETRIED = frozenset({"WriteUpload", "ReadArtifact", "Watch", "ExportAuditEntries"})
"""gRPC would replay the part of a stream it still buffers; streams are resumed where they stood instead."""
_FILES = (
    *(access_pb2, artifacts_pb2, audit_pb2, catalogue_pb2, deployments_pb2, events_pb2, evidence_pb2, governance_pb2),
    *(lineage_pb2, models_pb2, projects_pb2, server_pb2, stages_pb2, webhooks_pb2),
)
"""Those with services."""


def service_config() -> str:
    """The gRPC service config, JSON: unary calls are retried while UNAVAILABLE; that is safe by their request_id."""
    retried = [
        {"service": service.full_name, "method": method.name}
        for file in _FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if method.name not in NEVER_RETRIED
    ]
    retry = {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [{"name": retried, "retryPolicy": retry}],
    }
    return json.dumps(config)


def open_channel(settings: Settings) -> grpc.Channel:
    """A channel that connects when first used.

    Raises: InvalidArgument when a certificate file cannot be read.
    """
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", service_config()),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        # gRPC waits 1 s after a refused connection, then up to 2 minutes. In a rolling restart the first replica would
        # be back for long, unasked, when the last one goes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.primary_user_agent", f"mreg-python/{__version__}"),
        # A push and a pull of one process share nothing: a stuck stream must not hold the calls of another Registry.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if "," in settings.endpoint:
        # One name for all of them, or the list itself would be the name that certificates are held against.
        options.append(("grpc.default_authority", settings.endpoint.partition(",")[0]))
    if not settings.tls:
        return grpc.insecure_channel(target_of(settings.endpoint), options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(settings.ca_file),
        private_key=_read(settings.client_key),
        certificate_chain=_read(settings.client_cert),
    )
    return grpc.secure_channel(target_of(settings.endpoint), credentials, options=options)


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{path} cannot be read: {error.strerror}; check the certificate settings") from error
