"""The server from its settings to its end: one process, or a parent of several."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from registry_grpc.server.app import Server
from registry_grpc.server.compose import compose
from registry_grpc.server.lifecycle import Signals, run
from registry_grpc.server.process import prepare_process
from registry_grpc.server.workers import Workers

if TYPE_CHECKING:
    from registry_grpc.server.settings import Settings


def serve(settings: Settings) -> None:
    """Serve until a signal to stop. Prints one line of JSON with the ports when it takes calls.

    Raises: BindError, SchemaError, StoreInUseError, RegistryError when the database is away; WorkersError.
    """
    prepare_process(settings)
    if settings.workers > 1:
        asyncio.run(_supervise(settings))
    else:
        run(_serve(settings), uvloop=settings.uvloop)


async def _supervise(settings: Settings) -> None:
    await Workers(settings).run()


async def _serve(settings: Settings) -> None:
    server = await Server.build(settings, compose)
    await server.start()
    # Before anybody is told: whoever reads the line may send a signal at once.
    signals = Signals()
    ready = {
        "ports": server.ports,
        "metrics_port": server.metrics_port,
        "token_file": str(settings.first_token_file),
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await server.serve(signals)
