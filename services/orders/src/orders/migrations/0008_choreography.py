"""Orders that are placed by events: their requests, with a deadline; and the events that arrive."""

from alembic import op

from kompensa_participant import reaction_tables

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(reaction_tables())
    op.execute("""
        CREATE TABLE placements (
            saga_id    uuid        PRIMARY KEY,
            request    jsonb       NOT NULL,
            status     text        NOT NULL CHECK (status IN ('running', 'undoing', 'placed', 'failed')),
            reason     text,
            payment_id uuid,
            version    bigint      NOT NULL DEFAULT 1,
            deadline   timestamptz NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            ended_at   timestamptz
        );
        CREATE INDEX placements_running ON placements (deadline) WHERE status = 'running';
    """)
