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


def reaction_tables() -> str:
    """The inbox, with one row for each event that arrived, and the offsets of the topics.

    An event's content is kept only while the event waits; once it is handled or discarded, the row remembers its id.
    """
    return """
        CREATE TABLE inbox (
            event_id        uuid        PRIMARY KEY,
            position        bigint      GENERATED ALWAYS AS IDENTITY,
            state           text        NOT NULL
                                        CHECK (state IN ('Handled', 'Retrying', 'Held', 'Parked', 'Discarded')),
            topic           text        NOT NULL,
            partition       integer     NOT NULL,
            record_offset   bigint      NOT NULL,
            key             text        NOT NULL,
            event_type      text        NOT NULL,
            ordered         boolean     NOT NULL,
            attempts        integer     NOT NULL DEFAULT 0,
            error           text,
            traceback       text,
            headers         jsonb,
            value           text,
            received_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            next_attempt_at timestamptz,
            settled_at      timestamptz
        );
        CREATE INDEX inbox_waiting ON inbox (position) WHERE state IN ('Retrying', 'Held', 'Parked');
        CREATE INDEX inbox_waiting_by_key ON inbox (key, position)
            WHERE ordered AND state IN ('Retrying', 'Held', 'Parked');
        CREATE TABLE reaction_offsets (
            consumer    text        NOT NULL,
            topic       text        NOT NULL,
            partition   integer     NOT NULL,
            next_offset bigint      NOT NULL,
            epoch       bigint      NOT NULL,
            applied     bigint      NOT NULL DEFAULT 0,
            updated_at  timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (consumer, topic, partition)
        );
    """
