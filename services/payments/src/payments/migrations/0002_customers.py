"""The copy of which payment methods a customer has; orders is their authority.

`payment_methods.orders_customer_id` stays: pods of the version before write it until the last of them has stopped.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE customers (
            orders_customer_id uuid        PRIMARY KEY,
            payment_methods    jsonb,
            source_version     bigint      NOT NULL,
            synced_at          timestamptz NOT NULL,
            deleted_at         timestamptz
        )
    """)
