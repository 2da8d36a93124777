"""Payment methods of customers are published: one event for each customer that is there already.

Pods of the version before change customers until the last of them has stopped, and do not write this event. A trigger
writes it for them, at the end of the transaction and only if the service has not.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

EVENT = """
    INSERT INTO outbox (id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload)
    SELECT gen_random_uuid(), 'customer-payment-methods', id, version, 'payment-methods-changed', '1.0',
           jsonb_build_object(
               'customerId', id,
               'paymentMethods', payment_methods,
               'updatedAt', to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
           )
      FROM {customers}
     WHERE deleted_at IS NULL
    ON CONFLICT (aggregate_type, aggregate_id, aggregate_version) DO NOTHING
"""


def upgrade() -> None:
    op.execute(f"""
        CREATE FUNCTION publish_payment_methods() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
            {EVENT.format(customers="(SELECT NEW.*) AS customer")};
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER publish_payment_methods AFTER INSERT OR UPDATE ON customers
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION publish_payment_methods();
    """)
    # The trigger's lock lets no customer change in between: each is published, by the trigger or here.
    op.execute(EVENT.format(customers="customers"))
