"""What every server process does before it has threads."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from registry_grpc import failpoints
from registry_grpc.observability.logs import configure
from registry_grpc.server.heaps import share_heaps

if TYPE_CHECKING:
    from registry_grpc.server.settings import Settings

_LOG = logging.getLogger("registry_grpc.server")


def prepare_process(settings: Settings) -> None:
    """Heaps, logs, and a word about failpoints."""
    share_heaps()
    configure(settings.log_level, settings.log_format)
    if failpoints.armed:
        _LOG.warning("failpoints are armed: this server will fail on purpose")
