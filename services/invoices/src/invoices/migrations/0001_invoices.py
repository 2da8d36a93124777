"""The copy of customers, and invoices."""

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
            document           varchar(14)  NOT NULL,
            full_name          varchar(255) NOT NULL,
            billing_address    jsonb        NOT NULL,
            source_version     bigint       NOT NULL,
            synced_at          timestamptz  NOT NULL,
            deleted_at         timestamptz
        )
    """)
    op.execute("CREATE SEQUENCE invoice_numbers")
    op.execute("""
        CREATE TABLE invoices (
            id                 uuid          PRIMARY KEY,
            invoice_number     varchar(100)  NOT NULL UNIQUE,
            saga_id            uuid          NOT NULL UNIQUE,
            customer_id        uuid          NOT NULL REFERENCES customers (id),
            orders_customer_id uuid          NOT NULL,
            orders_order_id    uuid          NOT NULL,
            total_amount       numeric(12,2) NOT NULL CHECK (total_amount > 0),
            status             text          NOT NULL CHECK (status IN ('pending', 'issued', 'cancelled')),
            issued_at          timestamptz   NOT NULL DEFAULT now(),
            cancelled_at       timestamptz
        )
    """)
    op.execute(
        "CREATE UNIQUE INDEX one_standing_invoice_per_order ON invoices (orders_order_id) WHERE status <> 'cancelled'"
    )
    op.execute("""
        CREATE TABLE invoice_items (
            invoice_id         uuid          NOT NULL REFERENCES invoices (id),
            position           smallint      NOT NULL,
            catalog_product_id uuid          NOT NULL,
            product_name       varchar(200)  NOT NULL CHECK (product_name <> ''),
            quantity           integer       NOT NULL CHECK (quantity > 0),
            unit_price         numeric(12,2) NOT NULL,
            total_price        numeric(12,2) NOT NULL CHECK (total_price = quantity * unit_price),
            PRIMARY KEY (invoice_id, position)
        )
    """)
