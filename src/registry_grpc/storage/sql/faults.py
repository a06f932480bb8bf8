"""The one place where errors of the engines become errors of the registry."""

from __future__ import annotations

import sqlite3
from enum import Enum, auto
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from registry_grpc.domain.errors import Reason, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable


class SchemaError(RuntimeError):
    """The database's schema is not the one this program knows; the message says what to do."""


class AddressError(ValueError):
    """The database address cannot be used; the message says why and shows no part of it that may be secret."""


class StoreInUseError(RuntimeError):
    """Another process has this SQLite database open."""


class CommitUnknownError(Exception):
    """The connection went while the COMMIT was under way: it may have happened or not."""


class TransactionGoneError(Exception):
    """The engine took the transaction back on its own."""


class Fault(Enum):
    """What an engine's error means for the call."""

    CONFLICT = auto()
    """It collided with another transaction: run it again."""
    LOST = auto()
    """The connection went: run it again on a fresh one."""
    UNAVAILABLE = auto()
    """There is no database to be had now."""
    BAD_TEXT = auto()
    """A text has U+0000, which PostgreSQL cannot hold."""


RACES = {"pk_idempotency", "ux_blob_held", "ux_version_exclusive_stage"}
"""Unique constraints that a concurrent twin can break although the writer looked first."""
_SQLITE_RACES = ("idempotency.principal,", "blob.project,", "version.model_uid, version.stage")
_CONFLICT_STATES = {"40001", "40P01", "55P03"}
_UNAVAILABLE_STATES = {
    "25006",  # read only: a fail-over left us at a standby
    "57014",  # statement_timeout
}
_UNAVAILABLE_CLASSES = {"08", "53", "57", "58"}
_SQLITE_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
}


def fault_of(error: BaseException) -> Fault | None:
    """What `error` means; None when it is none of the engine's, or a mistake of ours."""
    if isinstance(error, (PoolTimeoutError, TransactionGoneError)):
        return Fault.UNAVAILABLE
    if not isinstance(error, DBAPIError):
        return None
    judge = _judge(error.orig)
    if error.connection_invalidated and judge is not Fault.CONFLICT:
        return Fault.LOST
    return judge


def _judge(cause: BaseException | None) -> Fault | None:
    if isinstance(cause, psycopg.Error):
        return _postgresql(cause)
    if isinstance(cause, sqlite3.Error):
        return _sqlite(cause)
    return None


def _postgresql(cause: psycopg.Error) -> Fault | None:
    state = cause.sqlstate or ""
    if state in _CONFLICT_STATES:
        return Fault.CONFLICT
    if isinstance(cause, psycopg.errors.UniqueViolation):
        return Fault.CONFLICT if cause.diag.constraint_name in RACES else None
    if state in _UNAVAILABLE_STATES or state[:2] in _UNAVAILABLE_CLASSES:
        return Fault.UNAVAILABLE
    if isinstance(cause, psycopg.OperationalError) and not state:
        return Fault.UNAVAILABLE  # it never got as far as an answer
    if isinstance(cause, psycopg.DataError) and "NUL" in str(cause):
        return Fault.BAD_TEXT
    return None


def _sqlite(cause: sqlite3.Error) -> Fault | None:
    code = getattr(cause, "sqlite_errorcode", 0)
    if code in {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}:
        return Fault.CONFLICT if any(race in str(cause) for race in _SQLITE_RACES) else None
    # The low byte is the primary code; the rest says which kind of it.
    return Fault.UNAVAILABLE if code & 0xFF in _SQLITE_UNAVAILABLE else None


def _conflict() -> RegistryError:
    return RegistryError(
        Reason.TRANSACTION_CONFLICT,
        "the change kept colliding with others; nothing was changed, try again",
        retry_after_s=0.1,
    )


def unavailable() -> RegistryError:
    """The error while there is no database."""
    return RegistryError(
        Reason.DATABASE_UNAVAILABLE,
        "the database does not answer; try again, with the same request_id for a change",
        retry_after_s=1,
    )


def _bad_text() -> RegistryError:
    return RegistryError(Reason.INVALID_FIELD, "a text of the request has the character U+0000; remove it")


_ERRORS: dict[Fault, Callable[[], RegistryError]] = {
    Fault.CONFLICT: _conflict,
    Fault.LOST: unavailable,
    Fault.UNAVAILABLE: unavailable,
    Fault.BAD_TEXT: _bad_text,
}


def error_for(fault: Fault) -> RegistryError:
    """What a caller gets when trying again did not help."""
    return _ERRORS[fault]()
