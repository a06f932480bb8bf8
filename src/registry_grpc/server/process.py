"""What every server process does before it has threads."""

from __future__ import annotations

import logging
import resource
from typing import TYPE_CHECKING

from registry_grpc import failpoints
from registry_grpc.observability.logs import configure
from registry_grpc.server.heaps import share_heaps

if TYPE_CHECKING:
    from registry_grpc.server.settings import Settings

OTHER_FILES = 1024
"""For the database, the artifact store, files and threads, beside the connections of callers."""
_LOG = logging.getLogger("registry_grpc.server")


def prepare_process(settings: Settings) -> None:
    """Heaps, logs, and a word about failpoints."""
    share_heaps()
    configure(settings.log_level, settings.log_format)
    _allow_files(settings.max_connections * len(settings.listen) + OTHER_FILES)
    if failpoints.armed:
        _LOG.warning("failpoints are armed: this server will fail on purpose")


def _allow_files(wanted: int) -> None:
    """Raise the soft limit of open files: without it callers could take those that lead to the database."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < possible:
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    if possible < wanted:
        _LOG.warning(
            "the limit of open files is below what max_connections may need; raise it, or lower max_connections",
            extra={"limit": possible, "wanted": wanted},
        )
