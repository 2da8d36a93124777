"""DDL of an event table, for a service's migrations: `op.execute(events_table())`.

Migrations run with the service's schema as their search path, so the names here have no schema.

After a release, the DDL that a function returns never changes. Another form of the table needs a new function, and a
new migration in each service.

The table has all columns of the participant kit's outbox. So it can be captured as an `Outbox`, and a stored event also
is the message (S58).
"""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}")
"""Names that need no quotes and leave room for the suffixes of triggers and functions."""
WRITING, ANNOUNCING = 1, 2
"""Second keys of a table's advisory locks; the first key is its oid. Each writer holds the first lock (shared), and the
writer that notifies also holds the second."""


def events_table(name: str = "events") -> str:
    """Create the table: append-only, with versions, a global order and notifications.

    The trigger `announce` notifies on the channel of `channel()`. On a PostgreSQL server, transactions that notify
    commit one after another. So of all writers that run at the same time, only one notifies. A reader that wakes
    checks for the other writers itself (see `feed`).
    """
    _check(name)
    return f"""
        CREATE TABLE {name} (
            id                uuid        PRIMARY KEY,
            aggregate_type    text        NOT NULL,
            aggregate_id      uuid        NOT NULL,
            aggregate_version bigint      NOT NULL CHECK (aggregate_version > 0),
            event_type        text        NOT NULL,
            event_version     text        NOT NULL,
            payload           jsonb       NOT NULL,
            traceparent       text,
            saga_id           uuid,
            occurred_at       timestamptz NOT NULL,
            actor             text,
            correlation_id    uuid,
            causation_id      uuid,
            transaction_id    xid8        NOT NULL DEFAULT pg_current_xact_id(),
            position          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
            UNIQUE (aggregate_type, aggregate_id, aggregate_version)
        );
        CREATE UNIQUE INDEX {name}_global_order ON {name} (transaction_id, position);

        CREATE FUNCTION {name}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '{name} is append-only: correct an event by another one';
        END $$;
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name}
            FOR EACH STATEMENT EXECUTE FUNCTION {name}_is_append_only();

        CREATE FUNCTION {name}_announce() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(TG_RELID::int, {WRITING});
            IF pg_try_advisory_xact_lock(TG_RELID::int, {ANNOUNCING}) THEN
                PERFORM pg_notify(left(TG_TABLE_SCHEMA, 20) || '.' || TG_TABLE_NAME, '');
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER announce AFTER INSERT ON {name}
            FOR EACH STATEMENT EXECUTE FUNCTION {name}_announce();
    """


def serving_grants(role: str, name: str = "events") -> str:
    """Allow the role of the service to append and read only. Run it as the owner of the table."""
    _check(name)
    quoted = '"' + role.replace('"', '""') + '"'
    return f"""
        REVOKE ALL ON {name} FROM {quoted};
        GRANT SELECT, INSERT ON {name} TO {quoted};
    """


def after_restore(name: str = "events") -> str:
    """Give a new global order to a table that was copied to another server by pg_dump or logical replication.

    The transaction ids of the old server are not valid on the new one, and `Feed` rejects them. Run this as the owner
    of the table, before any event is appended. It keeps the order within each stream, but not between streams. So
    rebuild all projections afterwards. After a physical copy (base backup, failover) or pg_upgrade it is not needed.
    """
    _check(name)
    return f"""
        ALTER TABLE {name} DISABLE TRIGGER append_only;
        UPDATE {name} SET transaction_id = '0';
        ALTER TABLE {name} ENABLE TRIGGER append_only;
    """


def channel(schema: str, name: str = "events") -> str:
    """The channel for notifications about a table. PostgreSQL limits the length of its name to 63 bytes."""
    return f"{schema[:20]}.{name}"


def _check(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an event table (expected lower case letters, digits and _, at most 40)")
