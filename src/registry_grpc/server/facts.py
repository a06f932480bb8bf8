"""What GetServerInfo tells of this server: version, limits, features."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc import __version__
from registry_grpc.domain.artifacts import BLOCK_BYTES, MAX_ARTIFACT_BYTES, MIB
from registry_grpc.server.interceptors.calls import MAX_UNARY_S
from registry_grpc.services.codec.artifacts import MAX_CHUNK_BYTES
from registry_grpc.services.field_rules import MAX_ANNOTATIONS, MAX_BATCH, MAX_TAGS
from registry_grpc.services.paging import MAX_PAGE_SIZE
from registry_grpc.services.server_info import ServerFacts
from registry_grpc.v1 import server_pb2

if TYPE_CHECKING:
    from registry_grpc.server.servicers import Core

REQUEST_ID_RETENTION = timedelta(hours=24)


def server_facts(core: Core, max_files: int) -> ServerFacts:
    """For the servicers of `core`."""
    limits = server_pb2.Limits(
        max_chunk_bytes=MAX_CHUNK_BYTES,
        preferred_chunk_bytes=MIB,
        part_bytes=BLOCK_BYTES,
        max_artifact_bytes=MAX_ARTIFACT_BYTES,
        max_files_per_version=max_files,
        max_page_size=MAX_PAGE_SIZE,
        max_tags=MAX_TAGS,
        max_annotations=MAX_ANNOTATIONS,
        max_batch_size=MAX_BATCH,
    )
    for field, time in (
        (limits.upload_retention, core.upload_retention),
        (limits.draft_retention, core.draft_retention),
        (limits.request_id_retention, REQUEST_ID_RETENTION),
        (limits.undelete_window, core.undelete_window),
        (limits.max_unary_deadline, timedelta(seconds=MAX_UNARY_S)),
    ):
        field.FromTimedelta(time)
    features = ["artifacts.sign_url"] if core.can_sign else []
    features += ["webhooks"] if core.webhooks else []
    features += ["audit.checkpoints"] if core.audit.sign else []
    return ServerFacts(__version__, features, limits)
