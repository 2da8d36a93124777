"""The ledger, and the barrier's table. No constraint keeps an effect from being noted twice: that is the barrier's."""

from alembic import op

from kompensa_participant import operations_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(operations_table())
    op.execute(
        "CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " saga_id uuid NOT NULL, step text NOT NULL, direction text NOT NULL)"
    )
    op.execute("CREATE INDEX effects_of_saga ON effects (saga_id, id)")
