"""DDL of an event table, for a service's migrations: `op.execute(events_table())`.

A migration runs with the service's schema as its search path, so no name here carries one. What a released function
returns never changes; a new shape is a new function and a new revision of the service.

The columns are those of the participant kit's outbox and more, so that the same table can be captured as an `Outbox`:
a stored event is also the message (S58).
"""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}")
"""Names that need no quotes and leave room for the suffixes below."""
WRITING, ANNOUNCING = 1, 2
"""Advisory locks of a table, as second keys beside its oid: held while it is written, and by the one who notifies."""


def events_table(name: str = "events") -> str:
    """Make the table: append-only, numbered in two ways, and waking those who listen.

    The trigger `announce` sends a notification on the channel of `channel()`. PostgreSQL lets only one transaction of
    the whole server commit at a time once it has sent a notification, so not every writer may send one: of those who
    write at the same time, one does. A reader that was woken looks for writers who left it to another (see `feed`).
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
    """Let the role that serves append and read, and nothing else. Run it as the owner, who migrates."""
    _check(name)
    quoted = '"' + role.replace('"', '""') + '"'
    return f"""
        REVOKE ALL ON {name} FROM {quoted};
        GRANT SELECT, INSERT ON {name} TO {quoted};
    """


def after_restore(name: str = "events") -> str:
    """Put a table that was restored into another server (pg_dump, logical replication) into a new global order.

    Transaction ids of the old server mean nothing to the new one; `Feed` rejects them. Afterwards each stream is in
    its order as before, but the streams are mixed in another way, so rebuild every projection. Run it as the owner,
    before anything is appended. A physical copy (base backup, failover) and pg_upgrade need none of this.
    """
    _check(name)
    return f"""
        ALTER TABLE {name} DISABLE TRIGGER append_only;
        UPDATE {name} SET transaction_id = '0';
        ALTER TABLE {name} ENABLE TRIGGER append_only;
    """


def channel(schema: str, name: str = "events") -> str:
    """The channel on which a table's writers notify. PostgreSQL limits its name to 63 bytes."""
    return f"{schema[:20]}.{name}"


def _check(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an event table (expected lower case letters, digits and _, at most 40)")
