"""DDL of the projections' bookkeeping, for a service's migrations: `op.execute(projections_table())`."""

from __future__ import annotations


def projections_table() -> str:
    """One row for each projection: how far it is, and what keeps it from going on."""
    return """
        CREATE TABLE projections (
            name           text        PRIMARY KEY,
            transaction_id bigint      NOT NULL DEFAULT 0,
            number         bigint      NOT NULL DEFAULT 0,
            events         bigint      NOT NULL DEFAULT 0,
            advanced_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
            error          text,
            failing_since  timestamptz
        )
    """
