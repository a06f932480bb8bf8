"""Kinds of columns, which keep the same values, and sort the same, on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Dialect, Index, Integer, LargeBinary, Text, TypeDecorator
from sqlalchemy import text as sql_text

from registry_grpc.storage.sql.documents import Codec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch, exactly. Raises: TypeError for a time without a zone."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


Key = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is looked up and sorted, by its UTF-8 bytes whatever the database's locale, as SQLite does anyway."""


class Moment(TypeDecorator[datetime]):
    """A time as microseconds since the epoch: one integer that sorts the same everywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> datetime | None:
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

    def process_bind_param(self, value: StrEnum | None, _dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> StrEnum | None:
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

    def process_bind_param(self, value: object, _dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else self.codec.encode(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> object:
        """From the database."""
        return None if value is None else self.codec.decode(value)


RowNumber = BigInteger().with_variant(Integer, "sqlite")
"""A lone integer primary key; INTEGER makes it the table's own order on SQLite."""


def key(name: str) -> Column[str]:
    """Required text that is looked up or sorted."""
    return Column(name, Key, nullable=False)


def text(name: str) -> Column[str]:
    """Required text."""
    return Column(name, Text, nullable=False)


def moment(name: str, *, nullable: bool = False) -> Column[datetime]:
    """A time."""
    return Column(name, Moment, nullable=nullable)


def count(name: str) -> Column[int]:
    """A required 64-bit integer."""
    return Column(name, BigInteger, nullable=False)


def octets(name: str) -> Column[bytes]:
    """Required bytes."""
    return Column(name, LargeBinary, nullable=False)


def document(name: str, codec: Codec[Any], *, nullable: bool = False) -> Column[Any]:
    """A domain value as versioned JSON text."""
    return Column(name, Document(codec), nullable=nullable)


def flag(name: str) -> Column[bool]:
    """A required truth."""
    return Column(name, Boolean, nullable=False)


def choice(name: str, kind: type[StrEnum]) -> Column[Any]:
    """A required word of an enum."""
    return Column(name, Choice(kind), nullable=False)


def index_where(name: str, where: str, *columns: Column[Any] | str, unique: bool = False) -> Index:
    """An index over the rows that `where` picks."""
    return Index(name, *columns, unique=unique, postgresql_where=sql_text(where), sqlite_where=sql_text(where))
