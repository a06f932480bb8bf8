"""What Alembic runs for each command; `schema.py` hands it the connection, and owns the transaction."""

from alembic import context

from registry_grpc.storage.sql.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
