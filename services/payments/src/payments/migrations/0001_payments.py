"""Payment methods, payments and the ledger of entries."""

from alembic import op

from kompensa_participant import append_only, operations_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(operations_table())
    op.execute("""
        CREATE TABLE payment_methods (
            id                 varchar(64)   PRIMARY KEY,
            orders_customer_id uuid,
            balance            numeric(12,2) NOT NULL CHECK (balance >= 0)
        )
    """)
    op.execute("""
        CREATE TABLE payments (
            id                 uuid          PRIMARY KEY,
            saga_id            uuid          NOT NULL UNIQUE,
            orders_customer_id uuid          NOT NULL,
            payment_method_id  varchar(64)   NOT NULL REFERENCES payment_methods (id),
            captured           numeric(12,2) NOT NULL CHECK (captured > 0),
            refunded           numeric(12,2) NOT NULL DEFAULT 0 CHECK (refunded >= 0),
            created_at         timestamptz   NOT NULL DEFAULT now(),
            refunded_at        timestamptz,
            CONSTRAINT never_refunded_above_capture CHECK (refunded <= captured)
        )
    """)
    op.execute("""
        CREATE TABLE entries (
            id         bigint        GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            payment_id uuid          NOT NULL REFERENCES payments (id),
            saga_id    uuid          NOT NULL,
            kind       text          NOT NULL CHECK (kind IN ('capture', 'refund')),
            amount     numeric(12,2) NOT NULL CHECK (amount > 0),
            at         timestamptz   NOT NULL DEFAULT clock_timestamp(),
            UNIQUE (payment_id, kind)
        )
    """)
    op.execute(append_only("entries"))
