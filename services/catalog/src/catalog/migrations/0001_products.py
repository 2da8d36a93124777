"""Products with their outbox."""

from alembic import op

from kompensa_participant import operations_table, outbox_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(operations_table())
    op.execute(outbox_table())
    op.execute("""
        CREATE TABLE products (
            id          uuid          PRIMARY KEY,
            name        varchar(200)  NOT NULL,
            description varchar(4000) NOT NULL,
            price       numeric(12,2) NOT NULL CHECK (price > 0),
            currency    char(3)       NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            status      text          NOT NULL CHECK (status IN ('active', 'withdrawn')),
            version     bigint        NOT NULL DEFAULT 1 CHECK (version > 0),
            created_at  timestamptz   NOT NULL DEFAULT now(),
            updated_at  timestamptz   NOT NULL DEFAULT now(),
            deleted_at  timestamptz
        )
    """)
