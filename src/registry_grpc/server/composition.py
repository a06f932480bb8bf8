"""What the composition root is given, and what it gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry_grpc.auth.authenticator import Authenticator
from registry_grpc.auth.view import AccessView
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.events import Occurrence
from registry_grpc.observability.health import Probe
from registry_grpc.observability.metrics import Metrics
from registry_grpc.server.interceptors.shortcuts import Shortcut
from registry_grpc.server.limits import Limits
from registry_grpc.server.pools import Pool
from registry_grpc.server.settings import Settings

Hook = Callable[[], Awaitable[object] | None]
"""Run on the loop; what can be awaited is."""
Adder = Callable[[Any], None]
"""Adds one servicer: `lambda server: add_ModelServiceServicer_to_server(servicer, server)`."""


async def never() -> RegistryError:
    """Does not return."""
    await asyncio.Event().wait()
    raise AssertionError


@dataclass(frozen=True, slots=True)
class Foundation:
    """What is there before anything is composed."""

    settings: Settings
    metrics: Metrics
    control: Pool
    """For calls to the store."""
    transfer: Pool
    """For bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """Everything the edge needs of the core. Hooks run on the loop, in order."""

    servicers: Sequence[Adder]
    authenticator: Authenticator
    access: AccessView
    """What callers may do; without bindings nobody may do anything."""
    record_occurrences: Callable[[Sequence[Occurrence]], Awaitable[object]]
    """Adds audit entries for refused changes."""
    probes: Mapping[str, Probe] = field(default_factory=dict)
    """Readiness; liveness depends on none of them."""
    limits: Limits | None = None
    """None where nothing is limited."""
    shortcuts: Mapping[str, Shortcut] = field(default_factory=dict)
    """For methods that are repeated word for word, by full path."""
    unfit: Callable[[], Awaitable[RegistryError]] = never
    """Returns, with why, once this process cannot go on; for after the start."""
    on_start: Sequence[Hook] = ()
    """Before the first call is taken: fill the projection, start the followers."""
    on_drain: Sequence[Hook] = ()
    """When new work stops coming: tell the watchers."""
    on_stop: Sequence[Hook] = ()
    """After the last call: stop the followers, close the store."""


Compose = Callable[[Foundation], Awaitable[Composition]]
