"""Payment methods of customers are published: one event for each customer that is there already."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        INSERT INTO outbox (id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload)
        SELECT gen_random_uuid(), 'customer-payment-methods', id, version, 'payment-methods-changed', '1.0',
               jsonb_build_object(
                   'customerId', id,
                   'paymentMethods', payment_methods,
                   'updatedAt', to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
               )
          FROM customers
         WHERE deleted_at IS NULL
    """)
