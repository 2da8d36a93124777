"""The copy of catalog's products: their names."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE products (
            catalog_product_id uuid         PRIMARY KEY,
            name               varchar(200) NOT NULL,
            source_version     bigint       NOT NULL,
            synced_at          timestamptz  NOT NULL,
            deleted_at         timestamptz
        )
    """)
