"""Puts events in line: reads the log behind each webhook and writes deliveries, once each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

from registry_grpc.domain.webhooks import Delivery
from registry_grpc.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.events import Event
    from registry_grpc.domain.webhooks import Summary, Webhook
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit

PAGE = 500


class Form(Protocol):
    """How events are told to the outside."""

    def summary(self, event: Event) -> Summary | None:
        """What filters look at; None for an event that is not shown to anybody."""

    def body(self, event: Event, said: Summary) -> str:
        """The body to send."""


class Found(NamedTuple):
    """What a look at the log came to."""

    any: bool
    """Whether there is a webhook that is enabled."""
    more: bool
    """Whether there is more to put in line at once."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one turn read."""

    behind: Sequence[Webhook]
    """All with the same cursor."""
    events: Sequence[Event]
    upto: int


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Fills the lines. Safe to run twice at once: cursor and deliveries move in one transaction."""

    store: Store
    ids: Ids
    form: Form

    def __call__(self) -> Found:
        """Read the log once, from wherever webhooks stand in it.

        Raises: DATABASE_UNAVAILABLE.
        """
        head, turns, wanted = self.store.read(_read, snapshot=True)
        for turn in turns:
            told: dict[tuple[int, int], tuple[Summary, str]] = {}
            idle = []
            for webhook in turn.behind:
                deliveries = [each for event in turn.events if (each := self._delivery(webhook, event, told))]
                if deliveries:
                    failpoint("webhook.dispatch.before")
                    self._put(webhook, turn.upto, deliveries)
                    failpoint("webhook.dispatch.after")
                else:
                    idle.append(webhook)
            self._pass(idle, turn.upto)
        return Found(wanted, any(turn.upto < head for turn in turns))

    def _pass(self, idle: Sequence[Webhook], upto: int) -> None:
        """Move those that wanted nothing, all at once: a commit must not cost a transaction for each of them."""
        if idle:
            uids, before = [webhook.uid for webhook in idle], idle[0].progress.cursor
            self.store.write(lambda unit: unit.webhooks.advance_all(uids, before, upto))

    def _put(self, webhook: Webhook, upto: int, deliveries: Sequence[Delivery]) -> None:
        def work(unit: Unit) -> None:
            if unit.webhooks.advance(webhook.uid, webhook.progress.cursor, upto):
                unit.deliveries.insert_all(deliveries)
                unit.deliveries.raise_heads(webhook.uid, {each.lane for each in deliveries}, unit.now)

        self.store.write(work)

    def _delivery(
        self, webhook: Webhook, event: Event, told: dict[tuple[int, int], tuple[Summary, str]]
    ) -> Delivery | None:
        said = self.form.summary(event)
        if said is None or not webhook.wants(said):
            return None
        key = (event.revision, event.index)
        if key not in told:
            told[key] = (said, self.form.body(event, said))
        return Delivery(
            id=self.ids.uuid(),
            webhook_uid=webhook.uid,
            webhook=webhook.name,
            lane=said.model,
            event_revision=event.revision,
            event_index=event.index,
            event_type=said.event_type,
            subject=said.subject,
            body=told[key][1],
            create_time=event.time,
        )


def _read(reader: Reader) -> tuple[int, Sequence[_Turn], bool]:
    head, oldest = reader.feed.head(), reader.webhooks.oldest_cursor()
    if oldest is None or oldest >= head:
        return head, (), oldest is not None
    turns = []
    for cursor, group in groupby(reader.webhooks.behind(head), key=lambda webhook: webhook.progress.cursor):
        events = reader.feed.after(cursor, PAGE)
        turns.append(_Turn(list(group), events, events[-1].revision if events else head))
    return head, turns, True
