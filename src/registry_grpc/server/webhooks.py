"""Webhooks: the servicer, the worker and the use cases in them; a part of the composition root."""

from __future__ import annotations

import os
import random
import socket
from typing import TYPE_CHECKING, NamedTuple

from registry_grpc.observability.webhook_metrics import WebhookCounts
from registry_grpc.services.codec.webhooks import CloudEvents
from registry_grpc.services.webhooks import WebhookVerbs
from registry_grpc.usecases import deliveries, webhooks
from registry_grpc.webhooks.dispatch import Dispatch
from registry_grpc.webhooks.guard import Guard, parse_networks
from registry_grpc.webhooks.line import Line
from registry_grpc.webhooks.secrets import SealedSecrets, own_key, read_key
from registry_grpc.webhooks.sending import Sender
from registry_grpc.webhooks.worker import Worker

if TYPE_CHECKING:
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Store
    from registry_grpc.server.composition import Foundation
    from registry_grpc.server.settings import Settings


class Delivering(NamedTuple):
    """What there is of webhooks where they can be kept."""

    verbs: WebhookVerbs
    worker: Worker


def delivering(store: Store, ids: Ids, foundation: Foundation) -> Delivering | None:
    """Webhooks, or None on a server without a key to keep their secrets with.

    Raises: ValueError, OSError for a key or authorities that cannot be used.
    """
    settings = foundation.settings
    key = secrets_key(settings)
    if key is None:
        return None
    secrets = SealedSecrets(key)
    guard = Guard(parse_networks(settings.webhook_allow_networks))
    sender = Sender(guard, secrets, settings.webhook_ca_file)
    form = CloudEvents(store.registry_uid)
    verbs = WebhookVerbs(
        create=webhooks.CreateWebhook(store, ids, secrets),
        get=webhooks.GetWebhook(store),
        list=webhooks.ListWebhooks(store),
        update=webhooks.UpdateWebhook(store),
        delete=webhooks.DeleteWebhook(store),
        rotate=webhooks.RotateWebhookSecret(store, secrets),
        list_deliveries=deliveries.ListDeliveries(store),
        redeliver=deliveries.RedeliverDeliveries(store),
        note_test=deliveries.NoteTest(store),
        secrets=secrets,
        guard=guard,
        sender=sender,
        form=form,
        ids=ids,
    )
    worker = Worker(
        store,
        foundation.control.run,
        Dispatch(store, ids, form),
        Line(store, webhooks.disable_webhook, random.random),
        sender,
        WebhookCounts(foundation.metrics),
        f"{socket.gethostname()}:{os.getpid()}",
    )
    return Delivering(verbs, worker)


def secrets_key(settings: Settings) -> bytes | None:
    """The key of the settings; an embedded server makes its own.

    Raises: ValueError, OSError.
    """
    if settings.secrets_key_file is not None:
        return read_key(settings.secrets_key_file)
    return own_key(settings.data_dir) if settings.embedded else None
