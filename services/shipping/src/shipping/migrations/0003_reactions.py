"""Events of other services that arrive."""

from alembic import op

from kompensa_participant import reaction_tables

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(reaction_tables())
