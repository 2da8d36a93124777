"""A customer's invoices are looked up by the id that orders gave the customer."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("CREATE INDEX invoices_orders_customer ON invoices (orders_customer_id)")
