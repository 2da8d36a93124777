"""A projection that was added later: revenue by product and day, from all events since the first."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE product_revenue (
            catalog_product_id uuid          NOT NULL,
            day                date          NOT NULL,
            product_name       varchar(200)  NOT NULL,
            quantity           bigint        NOT NULL,
            revenue            numeric(14,2) NOT NULL,
            PRIMARY KEY (catalog_product_id, day)
        );
        CREATE TABLE product_revenue_unpaid (
            order_id uuid  PRIMARY KEY,
            items    jsonb NOT NULL
        );
    """)
