"""Stock, reservations and the ledger of movements."""

from alembic import op

from kompensa_participant import append_only, operations_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(operations_table())
    op.execute("""
        CREATE TABLE stock (
            catalog_product_id uuid   PRIMARY KEY,
            on_hand            bigint NOT NULL DEFAULT 0 CHECK (on_hand >= 0),
            reserved           bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
            sold               bigint NOT NULL DEFAULT 0 CHECK (sold >= 0)
        )
    """)
    op.execute("""
        CREATE TABLE reservations (
            id          uuid        PRIMARY KEY,
            saga_id     uuid        NOT NULL UNIQUE,
            status      text        NOT NULL CHECK (status IN ('reserved', 'released')),
            created_at  timestamptz NOT NULL DEFAULT now(),
            released_at timestamptz,
            CHECK ((status = 'released') = (released_at IS NOT NULL))
        )
    """)
    op.execute("""
        CREATE TABLE reservation_items (
            reservation_id     uuid   NOT NULL REFERENCES reservations (id),
            catalog_product_id uuid   NOT NULL REFERENCES stock (catalog_product_id),
            quantity           bigint NOT NULL CHECK (quantity > 0),
            PRIMARY KEY (reservation_id, catalog_product_id)
        )
    """)
    # The sum of each column's changes is the product's state; of those of kind `count`, what it began with.
    op.execute("""
        CREATE TABLE stock_movements (
            id                 bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            catalog_product_id uuid        NOT NULL REFERENCES stock (catalog_product_id),
            kind               text        NOT NULL CHECK (kind IN ('count', 'reserve', 'release')),
            on_hand_change     bigint      NOT NULL,
            reserved_change    bigint      NOT NULL,
            saga_id            uuid        CHECK ((kind = 'count') = (saga_id IS NULL)),
            at                 timestamptz NOT NULL DEFAULT clock_timestamp(),
            UNIQUE (saga_id, catalog_product_id, kind)
        )
    """)
    op.execute(append_only("stock_movements"))
