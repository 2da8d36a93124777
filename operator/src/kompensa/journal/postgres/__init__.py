"""The journal in PostgreSQL: one statement a batch, leases as rows, plain SQL migrations."""

from kompensa.journal.postgres.journal import PostgresJournal

__all__ = ["PostgresJournal"]
