"""Events: those that arrive, and those to publish."""

from alembic import op

from kompensa_participant import outbox_table, reaction_tables

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(outbox_table())
    op.execute(reaction_tables())
