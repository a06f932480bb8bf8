"""The metadata store over SQLite and PostgreSQL. Nothing of SQLAlchemy or a driver leaves this room."""

from registry_grpc.storage.sql.faults import SchemaError, StoreInUseError
from registry_grpc.storage.sql.store import SqlStore

__all__ = ["SchemaError", "SqlStore", "StoreInUseError"]
