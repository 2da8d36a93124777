"""Projections of the order's events, and the events that announce changes of customers' names.

Names stay in `customers`, because an event cannot be erased. A trigger announces each change, even if a pod of the
release before makes it. Customers that are there already are announced once. While the second of the two statements
looks for new ones, changes of customers wait.
"""

from alembic import op

from kompensa_eventstore import events_table
from kompensa_eventstore.projections import projections_table

revision = "0006"
down_revision = "0005"

ANNOUNCE = """
    INSERT INTO customer_changes (
        id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, occurred_at
    )
    SELECT gen_random_uuid(), 'Customer', c.id, 1, 'CUSTOMER_CHANGED', '1.0', '{}', clock_timestamp() FROM customers c
     WHERE NOT EXISTS (SELECT FROM customer_changes WHERE aggregate_type = 'Customer' AND aggregate_id = c.id)
"""


def upgrade() -> None:
    op.execute(projections_table())
    op.execute("""
        CREATE TABLE order_projections (
            order_id        uuid          PRIMARY KEY,
            customer_id     uuid          NOT NULL,
            total_amount    numeric(12,2) NOT NULL,
            status          varchar(50)   NOT NULL,
            item_count      integer       NOT NULL,
            version         bigint        NOT NULL,
            created_at      timestamptz   NOT NULL,
            last_updated_at timestamptz   NOT NULL
        );
        CREATE INDEX order_projections_customer ON order_projections (customer_id, created_at, order_id);
        CREATE INDEX order_projections_status ON order_projections (status, created_at, order_id);
        CREATE TABLE customer_names (
            customer_id   uuid         PRIMARY KEY,
            customer_name varchar(200)
        );
    """)
    op.execute(events_table("customer_changes"))
    op.execute(ANNOUNCE)
    op.execute("""
        CREATE FUNCTION announce_customer() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
            IF TG_OP = 'INSERT' OR (NEW.full_name, NEW.deleted_at) IS DISTINCT FROM (OLD.full_name, OLD.deleted_at) THEN
                INSERT INTO customer_changes (
                    id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, occurred_at
                )
                SELECT gen_random_uuid(), 'Customer', NEW.id, coalesce(max(aggregate_version), 0) + 1,
                       'CUSTOMER_CHANGED', '1.0', '{}', clock_timestamp()
                  FROM customer_changes WHERE aggregate_type = 'Customer' AND aggregate_id = NEW.id;
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER announce AFTER INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION announce_customer();
    """)
    op.execute(ANNOUNCE)
