"""Customers with their outbox, prices, orders."""

from alembic import op

from kompensa_participant import operations_table, outbox_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(operations_table())
    op.execute(outbox_table())
    op.execute("""
        CREATE TABLE customers (
            id               uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
            email            varchar(255) NOT NULL UNIQUE,
            document         varchar(14)  NOT NULL,
            full_name        varchar(200) NOT NULL,
            phone            varchar(30),
            shipping_address jsonb        NOT NULL,
            billing_address  jsonb        NOT NULL,
            payment_methods  jsonb        NOT NULL,
            version          bigint       NOT NULL DEFAULT 1 CHECK (version > 0),
            created_at       timestamptz  NOT NULL DEFAULT now(),
            updated_at       timestamptz  NOT NULL DEFAULT now(),
            deleted_at       timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE prices (
            catalog_product_id uuid          PRIMARY KEY,
            product_name       varchar(200)  NOT NULL,
            unit_price         numeric(12,2) NOT NULL CHECK (unit_price > 0),
            updated_at         timestamptz   NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE orders (
            id           uuid          PRIMARY KEY,
            saga_id      uuid          NOT NULL UNIQUE,
            customer_id  uuid          NOT NULL REFERENCES customers (id),
            total_amount numeric(12,2) NOT NULL CHECK (total_amount > 0),
            status       varchar(50)   NOT NULL CHECK (status IN ('pending', 'confirmed', 'cancelled')),
            created_at   timestamptz   NOT NULL DEFAULT now(),
            updated_at   timestamptz   NOT NULL DEFAULT now()
        )
    """)
    op.execute("CREATE INDEX orders_customer ON orders (customer_id)")
    op.execute("""
        CREATE TABLE order_items (
            order_id           uuid          NOT NULL REFERENCES orders (id),
            position           smallint      NOT NULL,
            catalog_product_id uuid          NOT NULL,
            product_name       varchar(200)  NOT NULL,
            quantity           integer       NOT NULL CHECK (quantity > 0),
            unit_price         numeric(12,2) NOT NULL CHECK (unit_price > 0),
            PRIMARY KEY (order_id, position)
        )
    """)
