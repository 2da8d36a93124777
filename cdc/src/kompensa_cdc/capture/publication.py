"""The publication of one outbox: which rows PostgreSQL puts into the stream.

It carries a row filter, because one row that cannot become a record of Kafka would hold up all later ones. The
connector would fail on it, be restarted, and fail on it again, even if the row was deleted. Rows that the filter
keeps out are in the table still, and `unpublishable` finds them there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import errors, sql

from kompensa_cdc.capture.columns import OPTIONAL, TEXT, Route
from kompensa_cdc.capture.errors import PostgresError
from kompensa_cdc.capture.outbox import Database, Outbox
from kompensa_cdc.capture.source import Connection, connected, first_line, one, table_identifier
from kompensa_cdc.capture.table import Table

# Characters and length of what ends a topic's name, with any prefix.
TOPIC_END = "^[A-Za-z0-9._-]{1,100}$"


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A publication of our name, as the server describes it.

    Attributes
    ----------
    oids
        The tables that it names. PostgreSQL follows the table, not its name.
    columns
        Whether it publishes some columns only.
    filter
        Its row filter as PostgreSQL prints it; empty if it has none.
    comment
        Our note about the filter, from when we set it.
    """

    owner: str
    oids: tuple[int, ...]
    inserts: bool
    via_root: bool
    columns: bool
    filter: str
    comment: str

    def loses(self, table: Table, row_filter: str) -> str:
        """Why rows of the table do not come into the stream; empty if all do that should."""
        if table.oid not in self.oids:
            return f"it does not publish the table that is named {table.name} now"
        if not self.inserts:
            return "it does not publish INSERT"
        if self.columns:
            return "it publishes some columns only"
        if self.filter and self.comment != comment_of(row_filter, self.filter):
            return f"it has another row filter: {self.filter}"
        return ""

    def is_right(self, table: Table, row_filter: str) -> bool:
        return not self.loses(table, row_filter) and self.oids == (table.oid,) and self.via_root and bool(self.filter)


def publishable(outbox: Outbox, types: Mapping[str, str]) -> str:
    """The condition, in SQL, under which a row becomes a record; the connector's first reading uses it too.

    PostgreSQL allows only immutable built-in functions in a publication's filter, and no casts. So `#>>` makes text of
    the payload.
    """
    quoted = outbox.columns.quoted
    return (
        f"{event_bytes(outbox, types)} <= {outbox.max_event_bytes}"
        f" AND {quoted(outbox.route_meaning)} ~ '{TOPIC_END}'"
        # Debezium drops a row with an infinite time, without an error.
        f" AND isfinite({quoted('occurred_at')})"
        # No consumer takes an event without a type. In the other route, the pattern rejects it.
        + (f" AND {quoted('event_type')} <> ''" if outbox.route is Route.BY_AGGREGATE_TYPE else "")
    )


def event_bytes(outbox: Outbox, types: Mapping[str, str]) -> str:
    """How large a row's record is, in SQL: its payload and each text of its key and headers.

    The column of the route is not counted, because its length is limited.
    """
    name, quoted = outbox.columns.name, outbox.columns.quoted
    payload = quoted("payload") + ("" if types[name("payload")] == "text" else " #>> '{}'")
    counted = ["id", "aggregate_id", "event_version", "traceparent", "saga_id"]
    counted += ["event_type"] if outbox.route is Route.BY_AGGREGATE_TYPE else []
    counted += optional_columns(outbox, types)
    texts = [quoted(meaning) for meaning in counted if types[name(meaning)] in TEXT]
    return " + ".join(f"coalesce(octet_length({text}), 0)" for text in (payload, *texts))


def optional_columns(outbox: Outbox, types: Mapping[str, str]) -> list[str]:
    """The meanings of those columns of the table that become headers, and that an outbox need not have."""
    return [meaning for meaning, fit in OPTIONAL.items() if types.get(outbox.columns.name(meaning)) in fit]


def comment_of(row_filter: str, printed: str) -> str:
    """Remembers which filter we set, and how PostgreSQL prints it: a change by hand of either shows."""
    return f"kompensa publishes rows WHERE {row_filter}; printed as {printed}"


async def read_publication(connection: Connection, outbox: Outbox) -> Publication | None:
    """Return the publication of this outbox, or None if there is none."""
    row = await one(
        connection,
        """SELECT pg_get_userbyid(p.pubowner) AS owner, p.pubinsert AS inserts, p.pubviaroot AS via_root,
                  coalesce(array_agg(r.prrelid::bigint) FILTER (WHERE r.prrelid IS NOT NULL), '{}') AS oids,
                  coalesce(bool_or(r.prattrs IS NOT NULL), false) AS columns,
                  coalesce(max(pg_get_expr(r.prqual, r.prrelid)), '') AS filter,
                  coalesce(obj_description(p.oid, 'pg_publication'), '') AS comment
             FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid
            WHERE p.pubname = %s GROUP BY p.oid, p.pubowner, p.pubinsert, p.pubviaroot""",
        outbox.publication,
    )
    return None if row is None else Publication(**{**row, "oids": tuple(row["oids"])})


async def ensure_publication(
    owner: Database, outbox: Outbox, table: Table, row_filter: str, present: Publication | None
) -> None:
    """Make the publication, or repair the one that is there."""
    if present is not None and present.is_right(table, row_filter):
        return
    async with connected(owner, f"making the publication {outbox.publication}") as connection:
        try:
            async with connection.transaction():
                for statement in _statements(outbox, row_filter, made=present is None):
                    await connection.execute(statement)
                await _comment(connection, outbox, row_filter)
        except errors.DuplicateObject:
            return  # made by another operator a moment ago
        except errors.InsufficientPrivilege as error:
            raise PostgresError(_refused(error, owner, outbox, present), reason="RightsMissing") from None


def _statements(outbox: Outbox, row_filter: str, *, made: bool) -> list[sql.Composed]:
    """Only inserts: an outbox row is never changed, and its deletion is house-keeping.

    A partitioned outbox is published under its own name: the connector knows none of its partitions.
    """
    name, table = sql.Identifier(outbox.publication), table_identifier(outbox)
    how, rows = sql.SQL("publish = 'insert', publish_via_partition_root = true"), sql.SQL(row_filter)
    if made:
        return [sql.SQL("CREATE PUBLICATION {} FOR TABLE {} WHERE ({}) WITH ({})").format(name, table, rows, how)]
    return [
        # First, for a filter on a partitioned table is refused without it.
        sql.SQL("ALTER PUBLICATION {} SET ({})").format(name, how),
        sql.SQL("ALTER PUBLICATION {} SET TABLE {} WHERE ({})").format(name, table, rows),
    ]


async def _comment(connection: Connection, outbox: Outbox, row_filter: str) -> None:
    set_now = await read_publication(connection, outbox)
    if set_now is None:
        raise PostgresError(f"publication {outbox.publication} was dropped while it was being made")
    comment = comment_of(row_filter, set_now.filter)
    await connection.execute(
        sql.SQL("COMMENT ON PUBLICATION {} IS {}").format(sql.Identifier(outbox.publication), sql.Literal(comment))
    )


def _refused(error: Exception, owner: Database, outbox: Outbox, present: Publication | None) -> str:
    if present is not None and present.owner != owner.username:
        return (
            f"publication {outbox.publication} belongs to {present.owner}, so that {owner.address} may not repair it: "
            f"run ALTER PUBLICATION {outbox.publication} OWNER TO {owner.username}, or drop it"
        )
    return (
        f"{owner.address} may not make a publication ({first_line(error)}): it must own {outbox.table} and "
        f"needs GRANT CREATE ON DATABASE {owner.database} TO {owner.username}"
    )
