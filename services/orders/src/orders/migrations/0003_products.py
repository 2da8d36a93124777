"""The copy of catalog's products replaces the prices that were set here.

Those prices become rows of version 0, which any event of catalog replaces. The table `prices` stays: pods
of the version before read and write it until the last of them has stopped. A trigger passes on what they write.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE products (
            catalog_product_id uuid          PRIMARY KEY,
            name               varchar(200)  NOT NULL,
            price              numeric(12,2) NOT NULL,
            currency           text          NOT NULL,
            status             text          NOT NULL,
            source_version     bigint        NOT NULL,
            synced_at          timestamptz   NOT NULL,
            deleted_at         timestamptz
        )
    """)
    op.execute("""
        CREATE FUNCTION copy_price() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
            INSERT INTO products (catalog_product_id, name, price, currency, status, source_version, synced_at)
            VALUES (NEW.catalog_product_id, NEW.product_name, NEW.unit_price, 'BRL', 'active', 0, NEW.updated_at)
            ON CONFLICT (catalog_product_id) DO UPDATE
               SET name = excluded.name, price = excluded.price, synced_at = excluded.synced_at
             WHERE products.source_version = 0;
            RETURN NULL;
        END $$;
        CREATE TRIGGER copy_price AFTER INSERT OR UPDATE ON prices FOR EACH ROW EXECUTE FUNCTION copy_price();
    """)
    # The trigger's lock lets no price be written in between: each is copied, by the trigger or here.
    op.execute("""
        INSERT INTO products (catalog_product_id, name, price, currency, status, source_version, synced_at)
        SELECT catalog_product_id, product_name, unit_price, 'BRL', 'active', 0, updated_at FROM prices
    """)
