"""DDL of the table with the positions of projections, for a service's migrations: `op.execute(projections_table())`."""

from __future__ import annotations


def projections_table() -> str:
    """Create the table. It has one row for each projection: its position, and the failure that stops it, if any."""
    return """
        CREATE TABLE projections (
            name           text        PRIMARY KEY,
            transaction_id bigint      NOT NULL DEFAULT 0,
            number         bigint      NOT NULL DEFAULT 0,
            events         bigint      NOT NULL DEFAULT 0,
            advanced_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
            failure        jsonb,
            failing_since  timestamptz
        )
    """
