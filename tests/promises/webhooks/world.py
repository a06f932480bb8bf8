"""Webhooks without a server around them: a real store, the real worker, and a clock that can be moved."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from registry_grpc.domain.calls import Call, Principal
from registry_grpc.domain.names import ModelName
from registry_grpc.domain.webhook_names import WebhookName
from registry_grpc.server.ids import RandomIds
from registry_grpc.services.codec.webhooks import CloudEvents
from registry_grpc.storage.sql import SqlStore
from registry_grpc.usecases import deliveries, models, webhooks
from registry_grpc.webhooks.dispatch import Dispatch
from registry_grpc.webhooks.guard import Guard, parse_networks
from registry_grpc.webhooks.line import Line
from registry_grpc.webhooks.secrets import SealedSecrets
from registry_grpc.webhooks.sending import Sender
from registry_grpc.webhooks.worker import Worker

HERE = parse_networks(["127.0.0.0/8"])
CALL: Call[Any] = Call(principal=Principal("user:ada"), method="Tests.Change")
_IDS = itertools.count(1)


@dataclass
class Seen:
    """What the worker reports."""

    outcomes: list[str] = field(default_factory=list)

    def attempted(self, outcome: str, _delay_s: float | None) -> None:
        self.outcomes.append(outcome)

    def waiting(self, _age_s: float) -> None:
        """Not looked at."""


class World:
    """One store, and what is needed to make webhooks and events in it."""

    def __init__(self, store: SqlStore, guard: Guard | None = None, **sender: Any) -> None:
        self.store = store
        self.secrets = SealedSecrets(bytes(32))
        self.sender = Sender(guard or Guard(HERE), self.secrets, **sender)
        self.seen = Seen()
        self.line = Line(store, webhooks.disable_webhook, lambda: 0.5)
        self.dispatch = Dispatch(store, RandomIds(), CloudEvents(store.registry_uid))

    def webhook(self, url: str, **fields: Any) -> WebhookName:
        """A new webhook in the default project."""
        name = WebhookName("default", f"w{next(_IDS)}")
        create = webhooks.CreateWebhook(self.store, RandomIds(), self.secrets)
        create(CALL, name, {"url": url, **fields}, self.secrets.new(), None)
        return name

    def get(self, name: WebhookName) -> Any:
        return webhooks.GetWebhook(self.store)(name)

    def change(self, name: WebhookName, **changes: Any) -> None:
        webhooks.UpdateWebhook(self.store)(CALL, name, "", changes, None)

    def deliveries(self, name: WebhookName, *states: Any) -> list[Any]:
        """The newest first."""
        return list(deliveries.ListDeliveries(self.store)(name, states, before=None, limit=1000))

    def redeliver(self, name: WebhookName, *names: Any) -> int:
        verb = deliveries.RedeliverDeliveries(self.store)
        return verb(CALL, name, list(names), all_dead=not names).get()

    def model(self, model_id: str) -> int:
        """Make a model; the revision of its event."""
        made = models.CreateModel(self.store, RandomIds())(CALL, ModelName("default", model_id), {})
        return made.revision

    def touch(self, model_id: str, text: str) -> int:
        """Change it."""
        name = ModelName("default", model_id)
        return models.UpdateModel(self.store)(CALL, name, "", {"owner": text}).revision

    def later(self, **time: float) -> None:
        """Move the clock of the store."""
        self.store.clock_offset += timedelta(**time)

    def worker(self, holder: str) -> Worker:
        return Worker(self.store, asyncio.to_thread, self.dispatch, self.line, self.sender, self.seen, holder)

    @contextlib.asynccontextmanager
    async def working(self, holder: str = "one") -> AsyncIterator[Worker]:
        """With a worker that runs."""
        worker = self.worker(holder)
        worker.start()
        try:
            yield worker
        finally:
            await worker.stop()


async def until(seen: Any, within_s: float = 30.0) -> Any:
    """As `tests.kit.waiting.until`, on an event loop."""
    async with asyncio.timeout(within_s):
        while not (value := seen()):  # noqa: ASYNC110 -- what it waits for happens in threads and a database
            await asyncio.sleep(0.02)
        return value
