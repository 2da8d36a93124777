"""DDL of the kit's tables, for a service's migrations: `op.execute(operations_table())`.

A migration runs with the service's schema as its search path, so no name here carries one. The result of a released
function never changes; a new shape is a new function and a new revision of the service.
"""

from __future__ import annotations


def operations_table() -> str:
    """The barrier's rows. `Running` is only ever seen inside the transaction that wrote it."""
    return """
        CREATE TABLE operations (
            saga_id     uuid        NOT NULL,
            step        text        NOT NULL,
            direction   text        NOT NULL CHECK (direction IN ('action', 'compensation')),
            state       text        NOT NULL CHECK (state IN ('Running', 'Succeeded', 'Failed', 'Tombstoned')),
            fingerprint text        NOT NULL,
            status      smallint,
            reply       jsonb,
            created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (saga_id, step, direction)
        )
    """


def outbox_table() -> str:
    """Events to be captured. The unique constraint is what makes a version mean something: 1, 2, 3, no second 2."""
    return """
        CREATE TABLE outbox (
            id                uuid        PRIMARY KEY,
            aggregate_type    text        NOT NULL,
            aggregate_id      uuid        NOT NULL,
            aggregate_version bigint      NOT NULL CHECK (aggregate_version > 0),
            event_type        text        NOT NULL,
            event_version     text        NOT NULL,
            payload           jsonb       NOT NULL,
            traceparent       text,
            saga_id           uuid,
            occurred_at       timestamptz NOT NULL DEFAULT now(),
            UNIQUE (aggregate_type, aggregate_id, aggregate_version)
        )
    """


def append_only(table: str) -> str:
    """Make an existing table a ledger: rows come, and never change or go."""
    return f"""
        CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '{table} is append-only: correct it by another row';
        END $$;
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only();
    """
