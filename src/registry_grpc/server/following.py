"""Keeps the view of roles, bindings and accounts current: a snapshot at start, and anew while the feed stands still."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from registry_grpc.auth.view import AccessView, Snapshot
from registry_grpc.domain.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from registry_grpc.auth.authenticator import Authenticator
    from registry_grpc.domain.access import Role, RoleBinding, ServiceAccount
    from registry_grpc.ports.store import Reader, Store
    from registry_grpc.watch.feed import ChangeFeed

PAGE = 1000
LOOK_S = 1.0
RELOAD_S = 5.0
"""How often the snapshot is taken while the feed is not fresh: a change must be in force within 30 s in any case."""
REVOKED_OF_LATE = timedelta(minutes=2)
_LOG = logging.getLogger("registry_grpc.access")


class AccessFollower:
    """Loads the view at start; the feed itself applies news."""

    def __init__(self, view: AccessView, store: Store, feed: ChangeFeed, run: Callable[..., Awaitable[Any]]) -> None:
        """`run(fn, *args)` runs a blocking function in the control pool."""
        self._view = view
        self._store = store
        self._feed = feed
        self._run = run
        self._loaded = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load, after the feed started: what it has not seen is in the snapshot.

        Raises: DATABASE_UNAVAILABLE.
        """
        await self._load()
        self._task = asyncio.create_task(self._watch(), name="access-view")

    async def stop(self) -> None:
        """Stop looking after the feed."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if self._feed.is_fresh() or time.monotonic() - self._loaded < RELOAD_S:
                continue
            try:
                await self._load()
            except RegistryError as error:
                # The database is away: what is known goes on, as everywhere.
                _LOG.debug("the view of access could not be loaded", exc_info=error)
            except Exception as error:  # noqa: BLE001 - must go on whatever happens; it is reported
                _LOG.error("the view of access could not be loaded", exc_info=error)

    async def _load(self) -> None:
        began = time.monotonic()
        self._view.load(await self._run(self._read))
        self._loaded = began

    def _read(self) -> Snapshot:
        return self._store.read(snapshot_of, snapshot=True)


def snapshot_of(reader: Reader) -> Snapshot:
    """Everything the view wants to know, at one revision."""
    return Snapshot(
        revision=reader.feed.head(),
        roles=_roles(reader),
        bindings=_bindings(reader),
        accounts=_accounts(reader),
        revoked=reader.tokens.revoked_since(reader.now - REVOKED_OF_LATE),
    )


def _roles(reader: Reader) -> Sequence[Role]:
    found: list[Role] = []
    while True:
        page = reader.access.roles.list(after=found[-1].name.role if found else "", limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found


def _bindings(reader: Reader) -> Sequence[RoleBinding]:
    found: list[RoleBinding] = []
    while True:
        last = found[-1].name if found else None
        after = (last.project, last.model, last.id) if last else ("", "", "")
        page = reader.access.bindings.all(after=after, limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found


def _accounts(reader: Reader) -> Sequence[ServiceAccount]:
    found: list[ServiceAccount] = []
    while True:
        after = (found[-1].name.project, found[-1].name.id) if found else ("", "")
        page = reader.access.accounts.all(after=after, limit=PAGE)
        found += page
        if len(page) < PAGE:
            return found


class OnLoop:
    """Passes on to the authenticator, which is the loop's own, what other threads learn."""

    def __init__(self, authenticator: Authenticator, loop: asyncio.AbstractEventLoop) -> None:
        """`loop` is the one the authenticator works on."""
        self._authenticator = authenticator
        self._loop = loop

    def forget_token(self, token_id: str) -> None:
        """It was revoked."""
        self._soon(self._authenticator.forget_token, token_id)

    def forget_principal(self, name: str) -> None:
        """It was disabled or deleted."""
        self._soon(self._authenticator.forget_principal, name)

    def _soon(self, forget: Callable[[str], None], what: str) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(forget, what)
