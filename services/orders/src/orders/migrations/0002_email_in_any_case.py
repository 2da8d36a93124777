"""An e-mail address belongs to one customer in whatever case it is written."""

from alembic import op
from alembic.util import CommandError

revision = "0002"
down_revision = "0001"

SAME = "SELECT array_agg(id::text ORDER BY created_at) FROM customers GROUP BY lower(email) HAVING count(*) > 1 LIMIT 1"


def upgrade() -> None:
    op.execute("LOCK TABLE customers IN SHARE ROW EXCLUSIVE MODE")
    if found := op.get_bind().exec_driver_sql(SAME).scalar():
        raise CommandError(
            f"customers {', '.join(found)} have e-mail addresses that differ only in case: keep one of these customers,"
            " change or delete the others with the previous version, then migrate again; nothing was changed"
        )
    op.execute("CREATE UNIQUE INDEX customers_email ON customers (lower(email))")
    op.execute("ALTER TABLE customers DROP CONSTRAINT customers_email_key")
