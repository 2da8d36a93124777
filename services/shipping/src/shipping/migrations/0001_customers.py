"""The copy of customers."""

from alembic import op

from kompensa_participant import operations_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(operations_table())
    op.execute("""
        CREATE TABLE customers (
            id                 uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
            orders_customer_id uuid         NOT NULL UNIQUE,
            email              varchar(255) NOT NULL,
            full_name          varchar(255) NOT NULL,
            phone              varchar(32)  NOT NULL,
            shipping_address   jsonb        NOT NULL,
            source_version     bigint       NOT NULL,
            synced_at          timestamptz  NOT NULL,
            deleted_at         timestamptz
        )
    """)
