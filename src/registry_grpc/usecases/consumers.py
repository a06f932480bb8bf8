"""Who used which version: written down from what each server counts in memory, and listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import invalid_field

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from registry_grpc.domain.consumers import Consumer, Counted
    from registry_grpc.domain.names import ModelName, VersionName
    from registry_grpc.ports.store import Reader, Store

KEEP = timedelta(days=400)
DEFAULT_DAYS = timedelta(days=30)
EXPIRE_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class AddConsumers:
    """Adds what was counted to the rows of today. Takes no revision."""

    store: Store

    def __call__(self, counted: Sequence[Counted]) -> None:
        """Raises: DATABASE_UNAVAILABLE; then it may have been added or not."""
        self.store.write(lambda unit: unit.consumers.add(counted))


@dataclass(frozen=True, slots=True)
class ListConsumers:
    """Who used the versions of a model, or one of them."""

    store: Store

    def __call__(
        self,
        model: ModelName,
        version: VersionName | None,
        *,
        first: date | None,
        last: date | None,
        after: tuple[str, int, str, int, str] | None,
        limit: int,
    ) -> Sequence[Consumer]:
        """A keyset page, the newest day first. A count that rises between two pages may be on both or on none.

        Raises: MODEL_NOT_FOUND, PROJECT_NOT_FOUND, INVALID_FIELD when the last day is before the first.
        """

        def work(reader: Reader) -> Sequence[Consumer]:
            end = last or reader.now.date()
            begin = first or reader.now.date() - DEFAULT_DAYS
            if end < begin:
                raise invalid_field("last_day", f"{end} is before first_day {begin}")
            return reader.consumers.list(model, version, first=begin, last=end, after=after, limit=limit)

        return self.store.read(work)


@dataclass(frozen=True, slots=True)
class ExpireConsumers:
    """Forgets days that are older than what is kept."""

    store: Store

    def __call__(self) -> int:
        """How many rows went; at most `EXPIRE_AT_ONCE` at a time."""
        if not self.store.read(lambda reader: reader.consumers.is_any_before((reader.now - KEEP).date())):
            return 0
        return self.store.write(lambda unit: unit.consumers.expire((unit.now - KEEP).date(), EXPIRE_AT_ONCE)).get()
