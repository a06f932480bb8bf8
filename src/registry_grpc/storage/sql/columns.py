"""Column types that keep the same values, and sort the same, on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, Text, TypeDecorator

from registry_grpc.storage.sql.documents import Codec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch, exactly. Raises: TypeError for a time without a zone."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


class Key(TypeDecorator[str]):
    """Text that is looked up and sorted, by its UTF-8 bytes whatever the database's locale."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """PostgreSQL must be told; BINARY is SQLite's own default."""
        return dialect.type_descriptor(Text(collation="C") if dialect.name == "postgresql" else Text())


class Moment(TypeDecorator[datetime]):
    """A time as microseconds since the epoch: one integer that sorts the same everywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else from_micros(value)


class Choice(TypeDecorator[StrEnum]):
    """A word of an enum."""

    impl = Key
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        """`kind` is the enum."""
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        """From the database."""
        return None if value is None else self.kind(value)


class Document(TypeDecorator[Any]):
    """A domain value as versioned JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, codec: Codec[Any]) -> None:
        """`codec` writes and reads the text."""
        super().__init__()
        self.codec = codec

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else self.codec.encode(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """From the database."""
        return None if value is None else self.codec.decode(value)


RowNumber = BigInteger().with_variant(Integer, "sqlite")
"""A lone integer primary key; INTEGER makes it the table's own order on SQLite."""
