"""Run by Alembic: one connection whose search path is the service's schema, one transaction for all revisions.

psycopg opens the connection, because SQLAlchemy cannot read all URLs that libpq reads, for example of several hosts.
"""

from alembic import context
from psycopg import Connection
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import create_engine, event, pool

from kompensa_participant.migrations import connect, settle

attributes = context.config.attributes
url, schema = attributes["url"], attributes["schema"]
settings = {"search_path": schema, "lock_timeout": "10s"}


def opened() -> Connection[tuple[object, ...]]:
    connection = connect(url, settings)
    connection.autocommit = False
    return connection


engine = create_engine("postgresql+psycopg://", creator=opened, poolclass=pool.NullPool)


@event.listens_for(engine, "begin")
def begun(connection: SqlConnection) -> None:
    """Behind a pooler, settings must be those of the transaction."""
    settle(connection.exec_driver_sql, url, settings)


with engine.connect() as connection:
    context.configure(connection=connection, version_table_schema=schema, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()
