"""Shipments with their outbox, and the copy of orders: whether each may be shipped."""

from alembic import op

from kompensa_participant import outbox_table

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(outbox_table())
    op.execute("""
        CREATE TABLE orders (
            orders_order_id uuid        PRIMARY KEY,
            status          text        NOT NULL CHECK (status IN ('pending', 'paid', 'cancelled')),
            source_version  bigint      NOT NULL CHECK (source_version > 0),
            synced_at       timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE shipments (
            id              uuid         PRIMARY KEY,
            orders_order_id uuid         NOT NULL UNIQUE REFERENCES orders,
            status          text         NOT NULL CHECK (status IN ('prepared', 'dispatched', 'delivered')),
            version         bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
            tracking_number varchar(100) UNIQUE,
            created_at      timestamptz  NOT NULL DEFAULT now(),
            dispatched_at   timestamptz,
            delivered_at    timestamptz,
            CHECK ((status = 'prepared') = (tracking_number IS NULL)),
            CHECK ((status = 'prepared') = (dispatched_at IS NULL)),
            CHECK ((status = 'delivered') = (delivered_at IS NOT NULL))
        )
    """)
