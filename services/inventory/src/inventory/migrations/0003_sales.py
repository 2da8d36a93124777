"""A confirmed order turns its reservation into a sale, which the ledger shows as a movement of its own."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE reservations
            ADD COLUMN sold_at timestamptz,
            DROP CONSTRAINT reservations_status_check,
            ADD CONSTRAINT reservations_status_check CHECK (status IN ('reserved', 'released', 'sold')),
            ADD CONSTRAINT reservations_sold_check CHECK ((status = 'sold') = (sold_at IS NOT NULL))
    """)
    op.execute("""
        ALTER TABLE stock_movements
            ADD COLUMN sold_change bigint NOT NULL DEFAULT 0,
            DROP CONSTRAINT stock_movements_kind_check,
            ADD CONSTRAINT stock_movements_kind_check CHECK (kind IN ('count', 'reserve', 'release', 'sell'))
    """)
