"""Run by Alembic: one connection whose search path is the service's schema, one transaction for all revisions."""

from alembic import context
from sqlalchemy import create_engine, pool

attributes = context.config.attributes
schema = attributes["schema"]
engine = create_engine(
    attributes["url"].replace("postgresql://", "postgresql+psycopg://", 1),
    poolclass=pool.NullPool,
    connect_args={"options": f"-c search_path={schema} -c lock_timeout=10s", "connect_timeout": 10},
)
with engine.connect() as connection:
    context.configure(connection=connection, version_table_schema=schema, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()
