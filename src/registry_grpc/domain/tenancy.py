"""What a project may use, how long it keeps things, and what it uses now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import timedelta

from registry_grpc.domain.errors import Reason, RegistryError, Violation, invalid_field

MAX_UNDELETE_WINDOW = timedelta(days=3650)
MIN_DRAFT = timedelta(hours=1)
MAX_DRAFT = timedelta(days=365)
MAX_KEEP_VERSIONS = 10_000


@dataclass(frozen=True, slots=True)
class Quotas:
    """Most a project may use; 0 is no limit of its own."""

    max_stored_bytes: int = 0
    """Held and declared by open uploads together."""
    max_models: int = 0
    max_versions: int = 0
    max_open_uploads: int = 0
    max_calls_per_second: int = 0
    """To each server process."""
    max_open_streams: int = 0
    """At each server process."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long, and how many, a project keeps; None is what the server is set to."""

    undelete_window: timedelta | None = None
    draft: timedelta | None = None
    keep_versions: int = 0
    """Of each model, newest finalized versions that nothing holds; older ones are deleted softly. 0 keeps all."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a project uses; also a change of it, with negative numbers for what it gives back."""

    stored_bytes: int = 0
    """Bytes that may be read, LIVE or DAMAGED, each content once; also of deleted versions."""
    reserved_bytes: int = 0
    """Declared by open uploads."""
    models: int = 0
    """Not deleted."""
    versions: int = 0
    """Not deleted, of models that are not deleted."""
    open_uploads: int = 0

    def __bool__(self) -> bool:
        """Whether anything is used, or changed."""
        return self != _NOTHING


_NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Account:
    """What a project uses, with what it may use and keep."""

    usage: Usage
    quotas: Quotas
    retention: Retention


def check_quotas(quotas: Quotas, field: str = "project.quotas") -> None:
    """Raises: INVALID_FIELD for a negative limit."""
    for each in fields(quotas):
        value = getattr(quotas, each.name)
        if value < 0:
            raise invalid_field(f"{field}.{each.name}", f"is {value}; must be at least 0, which is no limit")


def check_retention(retention: Retention, field: str = "project.retention") -> None:
    """Raises: INVALID_FIELD for a time or number out of its range."""
    window, draft = retention.undelete_window, retention.draft
    if window is not None and not timedelta(0) <= window <= MAX_UNDELETE_WINDOW:
        raise invalid_field(f"{field}.undelete_window", f"is {window}; must be 0 to {MAX_UNDELETE_WINDOW.days} days")
    if draft is not None and not MIN_DRAFT <= draft <= MAX_DRAFT:
        raise invalid_field(f"{field}.draft", f"is {draft}; must be an hour to {MAX_DRAFT.days} days")
    if not 0 <= retention.keep_versions <= MAX_KEEP_VERSIONS:
        raise invalid_field(
            f"{field}.keep_versions",
            f"is {retention.keep_versions}; must be 0, which keeps all, to {MAX_KEEP_VERSIONS}",
        )


def require_within(project: str, account: Account, change: Usage) -> None:
    """Refuse a change that took a project over a quota. What is over already may stay, and shrink.

    Raises: QUOTA_EXCEEDED.
    """
    over = list(_over(account, change))
    if not over:
        return
    name, used, asked, limit = over[0]
    raise RegistryError(
        Reason.QUOTA_EXCEEDED,
        f"projects/{project} may have {limit} {name}, has {used}, and this asks for {asked} more; delete and purge "
        "what is not needed, or ask who administers the registry for more",
        violations=tuple(
            Violation(f"projects/{project}", f"{name}: {used} used, {asked} asked, the limit is {limit}")
            for name, used, asked, limit in over
        ),
        resource=f"projects/{project}",
        quota=name,
        used=used,
        asked=asked,
        limit=limit,
    )


def _over(account: Account, change: Usage) -> Iterator[tuple[str, int, int, int]]:
    usage, quotas = account.usage, account.quotas
    for name, now, asked, limit in (
        (
            "stored_bytes",
            usage.stored_bytes + usage.reserved_bytes,
            change.stored_bytes + change.reserved_bytes,
            quotas.max_stored_bytes,
        ),
        ("models", usage.models, change.models, quotas.max_models),
        ("versions", usage.versions, change.versions, quotas.max_versions),
        ("open_uploads", usage.open_uploads, change.open_uploads, quotas.max_open_uploads),
    ):
        if limit and asked > 0 and now > limit:
            yield name, now - asked, asked, limit
