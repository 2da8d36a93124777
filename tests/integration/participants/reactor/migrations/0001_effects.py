"""The effects, the faults that a test plants, a deferred constraint, and the kit's tables."""

from alembic import op

from kompensa_participant import operations_table, outbox_table, reaction_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(operations_table())
    op.execute(outbox_table())
    op.execute(reaction_tables())
    op.execute(
        """
        CREATE TABLE effects (
            position bigint GENERATED ALWAYS AS IDENTITY,
            event_id uuid NOT NULL, topic text NOT NULL, key text NOT NULL, number int NOT NULL
        );
        CREATE TABLE faults (key text PRIMARY KEY, kind text NOT NULL);
        CREATE TABLE targets (id uuid PRIMARY KEY);
        CREATE TABLE links (target uuid REFERENCES targets (id) DEFERRABLE INITIALLY DEFERRED);
        """
    )
