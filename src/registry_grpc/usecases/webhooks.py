"""Webhooks: create, read, change, delete, rotate the secret; and what goes with a project that goes for good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.calls import SYSTEM, Call
from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.resources import Project
from registry_grpc.domain.webhooks import MAX_OVERLAP, MAX_WEBHOOKS, Webhook
from registry_grpc.usecases.checks import require_etag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from registry_grpc.domain.calls import Committed
    from registry_grpc.domain.names import ProjectName
    from registry_grpc.domain.resources import Model
    from registry_grpc.domain.webhook_names import WebhookName
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Reader, Store, Unit
    from registry_grpc.ports.webhooks import WebhookSecrets


def webhook_not_found(name: WebhookName) -> RegistryError:
    """The error for an absent webhook."""
    return RegistryError(
        Reason.WEBHOOK_NOT_FOUND,
        f"{name} does not exist; list the webhooks of {name.parent} to see those that do",
        resource=name,
    )


def known_webhook(reader: Reader, name: WebhookName) -> Webhook:
    """Raises: WEBHOOK_NOT_FOUND, PROJECT_NOT_FOUND."""
    reader.projects.get(name.project)
    found = reader.webhooks.get(name)
    if found is None:
        raise webhook_not_found(name)
    return found


def held_webhook(unit: Unit, call: Call[Any], name: WebhookName) -> Webhook:
    """The webhook, locked, when the conditions of the caller's bindings allow it.

    Raises: WEBHOOK_NOT_FOUND, PROJECT_NOT_FOUND, PERMISSION_MISSING.
    """
    project = unit.projects.get(name.project)
    call.grant.require(name, tags=(project.tags,))
    found = unit.webhooks.lock(name)
    if found is None:
        raise webhook_not_found(name)
    return found


@dataclass(frozen=True, slots=True)
class CreateWebhook:
    """Creates a webhook, which gets what is committed from then on."""

    store: Store
    ids: Ids
    secrets: WebhookSecrets

    def __call__(
        self,
        call: Call[Webhook],
        name: WebhookName,
        fields: Mapping[str, Any],
        secret: str,
        refusal: RegistryError | None,
    ) -> Committed[Webhook]:
        """The webhook. A replay knows nothing of `secret`: that webhook has another one.

        `refusal` is what is wrong with its URL. It is raised here, so that a retry still gets its first answer.

        Raises: PROJECT_NOT_FOUND, RESOURCE_EXISTS, QUOTA_EXCEEDED, PERMISSION_MISSING, `refusal`.
        """
        uid = self.ids.uuid()
        sealed = self.secrets.seal(uid, secret)

        def work(unit: Unit) -> Webhook:
            project = unit.projects.get(name.project)
            call.grant.require(project.name, tags=(project.tags,))
            if refusal is not None:
                raise refusal
            _require_room(unit, name)
            revision = unit.advance(str(name))
            webhook = Webhook(
                **{
                    **fields,
                    "uid": uid,
                    "name": name,
                    "secret": sealed,
                    "creator": call.principal.name,
                    "create_time": unit.now,
                    "update_time": unit.now,
                    "revision": revision,
                },
            )
            unit.webhooks.insert(webhook)
            unit.record(Action.CREATED, webhook)
            return webhook

        return self.store.write(work, call)


def _require_room(unit: Unit, name: WebhookName) -> None:
    if unit.webhooks.count(name.project) >= MAX_WEBHOOKS and unit.webhooks.get(name) is None:
        raise RegistryError(
            Reason.QUOTA_EXCEEDED,
            f"{name.parent} has {MAX_WEBHOOKS} webhooks, which is the limit; delete one that is not needed",
            resource=name.parent,
            quota="webhooks",
            limit=MAX_WEBHOOKS,
        )


@dataclass(frozen=True, slots=True)
class GetWebhook:
    """One webhook with its progress."""

    store: Store

    def __call__(self, name: WebhookName) -> Webhook:
        """Raises: WEBHOOK_NOT_FOUND, PROJECT_NOT_FOUND."""
        return self.store.read(lambda reader: known_webhook(reader, name))


@dataclass(frozen=True, slots=True)
class ListWebhooks:
    """Webhooks of a project, by id."""

    store: Store

    def __call__(self, parent: ProjectName, *, after: str, limit: int) -> Sequence[Webhook]:
        """A keyset page.

        Raises: PROJECT_NOT_FOUND.
        """

        def work(reader: Reader) -> Sequence[Webhook]:
            reader.projects.get(parent.project)
            return reader.webhooks.list(parent.project, after=after, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class UpdateWebhook:
    """Changes a webhook. What waits is sent as the webhook is then; what it wants holds for events yet to come."""

    store: Store

    def __call__(
        self,
        call: Call[Webhook],
        name: WebhookName,
        etag: str,
        changes: Mapping[str, Any],
        refusal: RegistryError | None,
    ) -> Committed[Webhook]:
        """`refusal` is what is wrong with a new URL.

        Raises: WEBHOOK_NOT_FOUND, ETAG_MISMATCH, PERMISSION_MISSING, `refusal`.
        """

        def work(unit: Unit) -> Webhook:
            before = held_webhook(unit, call, name)
            require_etag(before, etag)
            if refusal is not None and changes.get("url") != before.url:
                raise refusal
            revision = unit.advance(str(name))
            after = replace(before, **changes, update_time=unit.now, revision=revision)
            if not after.disabled or not before.disabled:
                after = replace(after, disable_reason="")
            unit.webhooks.update(after)
            unit.record(Action.UPDATED, after)
            return after

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class DeleteWebhook:
    """Deletes a webhook with its deliveries."""

    store: Store

    def __call__(self, call: Call[None], name: WebhookName, etag: str) -> Committed[None]:
        """Raises: WEBHOOK_NOT_FOUND, ETAG_MISMATCH, PERMISSION_MISSING."""

        def work(unit: Unit) -> None:
            before = held_webhook(unit, call, name)
            require_etag(before, etag)
            revision = unit.advance(str(name))
            unit.webhooks.delete(before.uid)
            unit.record(Action.DELETED, replace(before, update_time=unit.now, revision=revision))

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class RotateWebhookSecret:
    """Gives a webhook a new secret; the one before signs too for a while."""

    store: Store
    secrets: WebhookSecrets

    def __call__(
        self, call: Call[Webhook], name: WebhookName, etag: str, secret: str, overlap: timedelta
    ) -> Committed[Webhook]:
        """The webhook. A replay knows nothing of `secret`.

        Raises: INVALID_FIELD, WEBHOOK_NOT_FOUND, ETAG_MISMATCH, PERMISSION_MISSING.
        """
        if not 0 <= overlap.total_seconds() <= MAX_OVERLAP.total_seconds():
            raise invalid_field("overlap", f"is {overlap}; must be 0 to {MAX_OVERLAP.days} days")

        def work(unit: Unit) -> Webhook:
            before = held_webhook(unit, call, name)
            require_etag(before, etag)
            revision = unit.advance(str(name))
            after = replace(
                before,
                secret=self.secrets.seal(before.uid, secret),
                old_secret=before.secret if overlap else b"",
                old_secret_expire_time=unit.now + overlap if overlap else None,
                update_time=unit.now,
                revision=revision,
            )
            unit.webhooks.update(after)
            unit.record(Action.UPDATED, after)
            return after

        return self.store.write(work, call)


def disable_webhook(unit: Unit, uid: str, reason: str) -> None:
    """Stop sending to a webhook, on behalf of the server. Takes the revision, unless it is disabled or gone."""
    before = unit.webhooks.lock_uid(uid)
    if before is None or before.disabled:
        return
    revision = unit.advance(str(before.name))
    after = replace(before, disabled=True, disable_reason=reason, update_time=unit.now, revision=revision)
    unit.webhooks.update(after)
    unit.record(Action.UPDATED, after)


def disabling() -> Call[None]:
    """The call under which `disable_webhook` stands in the audit trail."""
    return Call(principal=SYSTEM, method="system.DisableWebhook")


def remove_webhooks(unit: Unit, gone: Project | Model) -> None:
    """Remove the webhooks of a project that is purged, with their deliveries. After `Unit.advance`."""
    if isinstance(gone, Project):
        revision = unit.feed.head()
        for webhook in unit.webhooks.delete_all(gone.name.project):
            unit.record(Action.PURGED, replace(webhook, revision=revision))
