"""One server process from its settings to its end."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

from registry_grpc import failpoints
from registry_grpc.observability.logs import configure
from registry_grpc.server.app import Server
from registry_grpc.server.compose import compose
from registry_grpc.server.heaps import share_heaps
from registry_grpc.server.lifecycle import run

if TYPE_CHECKING:
    from registry_grpc.server.settings import Settings

_LOG = logging.getLogger("registry_grpc.server")


def serve(settings: Settings) -> None:
    """Serve until a signal to stop. Prints one line of JSON with the ports when it takes calls.

    Raises: BindError, SchemaError, StoreInUseError, RegistryError when the database is away.
    """
    share_heaps()
    configure(settings.log_level, settings.log_format)
    if failpoints.armed:
        _LOG.warning("failpoints are armed: this server will fail on purpose")
    run(_serve(settings), uvloop=settings.uvloop)


async def _serve(settings: Settings) -> None:
    server = await Server.build(settings, compose)
    await server.start()
    ready = {
        "ports": server.ports,
        "metrics_port": server.metrics_port,
        "token_file": str(settings.data_dir / "admin.token"),
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await server.wait()
    await server.stop()
