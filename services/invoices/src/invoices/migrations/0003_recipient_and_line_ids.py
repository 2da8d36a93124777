"""An invoice keeps its recipient as at issue, and each of its lines has an id.

Invoices that exist get the recipient from the copy of their customer; if the customer was deleted, it is lost and stays
NULL. Pods of the version before issue invoices until the last of them has stopped: a trigger fills in the recipient.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE invoices
            ADD COLUMN recipient_name     varchar(255),
            ADD COLUMN recipient_document varchar(14),
            ADD COLUMN recipient_address  jsonb,
            ADD CONSTRAINT whole_recipient CHECK (
                num_nulls(recipient_name, recipient_document, recipient_address) IN (0, 3)
            )
    """)
    op.execute("""
        CREATE FUNCTION fill_recipient() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
            SELECT full_name, document, billing_address
              INTO NEW.recipient_name, NEW.recipient_document, NEW.recipient_address
              FROM customers WHERE id = NEW.customer_id AND deleted_at IS NULL;
            RETURN NEW;
        END $$;
        CREATE TRIGGER fill_recipient BEFORE INSERT ON invoices FOR EACH ROW WHEN (NEW.recipient_name IS NULL)
            EXECUTE FUNCTION fill_recipient();
    """)
    op.execute("""
        UPDATE invoices
           SET recipient_name = c.full_name, recipient_document = c.document, recipient_address = c.billing_address
          FROM customers c
         WHERE c.id = invoices.customer_id AND c.deleted_at IS NULL
    """)
    for column in ("recipient_name", "recipient_document", "recipient_address"):
        op.execute(
            f"COMMENT ON COLUMN invoices.{column} IS 'As at issue; kept when the customer is deleted: CTN articles 173"
            " and 195, LGPD article 16 I. May be erased six years after 1 January of the year of issue.'"
        )
    op.execute("ALTER TABLE invoice_items ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE")
