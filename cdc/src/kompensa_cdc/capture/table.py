"""An outbox's table as the server describes it: everything that decides which of its rows come into the stream."""

from collections.abc import Mapping
from dataclasses import dataclass

from kompensa_cdc.capture.outbox import Outbox
from kompensa_cdc.capture.source import Connection, one

# The bits of pg_trigger.tgtype for BEFORE, DELETE and UPDATE.
_REJECTS_CHANGES = 2 | 8 | 16

# Its columns are fields of `Table`. Parameters: the column of ids, the Outbox's publication (twice), schema and table.
_DESCRIPTION = f"""SELECT c.oid::bigint, c.relkind::text AS kind, c.relpersistence = 'p' AS logged,
          row_security_active(c.oid) AS rows_hidden,
          has_table_privilege(c.oid, 'SELECT') AS may_read,
          has_schema_privilege(n.oid, 'USAGE') AS may_use_schema,
          (SELECT jsonb_object_agg(attname, jsonb_build_object('type', format_type(atttypid, NULL),
                                   'nullable', NOT attnotnull, 'generated', attgenerated <> ''))
             FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
          ARRAY(SELECT rulename::text FROM pg_rewrite
                 WHERE ev_class = c.oid AND ev_type = '3' AND is_instead ORDER BY 1) AS rules,
          EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %s
                   WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                     AND a.attnum = ANY (i.indkey)) AS id_is_unique,
          EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled IN ('O', 'A')
                     AND tgtype & {_REJECTS_CHANGES} = {_REJECTS_CHANGES}) AS append_only,
          ARRAY(SELECT p.pubname::text
                  FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
                  JOIN pg_replication_slots s ON s.slot_name = p.pubname AND s.database = current_database()
                  LEFT JOIN pg_publication own ON own.pubname = %s
                 WHERE r.prrelid = c.oid AND p.pubname LIKE 'kompensa\\_%%'
                   AND p.pubname <> %s AND (own.oid IS NULL OR p.oid < own.oid) ORDER BY 1) AS others
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s"""

_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table", "i": "index", "S": "sequence", "c": "type"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's type, as `format_type` prints it; whether it may be NULL; whether PostgreSQL computes it."""

    type: str
    nullable: bool = False
    generated: bool = False


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A table or a part of one: its kind as pg_class has it, and whether its rows are in the WAL."""

    name: str
    oid: int
    kind: str = "r"
    logged: bool = True

    @property
    def is_table(self) -> bool:
        return self.kind in ("r", "p")

    @property
    def kind_name(self) -> str:
        return _KINDS.get(self.kind, "table")


@dataclass(frozen=True, kw_only=True)
class Table(Relation):
    """The table of an outbox.

    Attributes
    ----------
    leaves
        The partitions that hold rows; none if it is not partitioned.
    children
        Tables that inherit from it: a SELECT finds their rows, a publication does not have them.
    rules
        Rules that put something else in the place of an INSERT.
    id_is_unique
        Whether a unique index has the column of ids.
    append_only
        Whether a trigger comes before UPDATE and DELETE: an event table keeps all of its rows.
    rows_hidden
        Whether row-level security applies to the capture role.
    may_read, may_use_schema
        The capture role's rights.
    others
        Publications of other Outboxes that have this table and were made before ours.
    """

    columns: Mapping[str, Column]
    leaves: tuple[Relation, ...] = ()
    children: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    id_is_unique: bool = True
    append_only: bool = False
    rows_hidden: bool = False
    may_read: bool = True
    may_use_schema: bool = True
    others: tuple[str, ...] = ()

    @property
    def types(self) -> dict[str, str]:
        return {name: column.type for name, column in self.columns.items()}

    @property
    def oids(self) -> frozenset[int]:
        """The table and what holds its rows. A table that is recreated has another OID, and a new partition its own."""
        return frozenset((self.oid, *(leaf.oid for leaf in self.leaves)))


async def read_table(connection: Connection, outbox: Outbox) -> Table | None:
    """Return the table as the capture role finds it, or None if there is none of that name."""
    own = outbox.publication
    row = await one(connection, _DESCRIPTION, outbox.columns.id, own, own, outbox.schema_name, outbox.table_name)
    if row is None:
        return None
    return Table(
        name=outbox.table,
        columns={name: Column(**column) for name, column in (row.pop("columns") or {}).items()},
        leaves=await _leaves(connection, row["oid"]),
        children=await _children(connection, row["oid"]) if row["kind"] == "r" else (),
        rules=tuple(row.pop("rules")),
        others=tuple(row.pop("others")),
        **row,
    )


async def _leaves(connection: Connection, oid: int) -> tuple[Relation, ...]:
    cursor = await connection.execute(
        """SELECT c.oid::bigint, n.nspname || '.' || c.relname AS name, c.relkind::text AS kind,
                  c.relpersistence = 'p' AS logged
             FROM pg_partition_tree(%s::oid::regclass) t JOIN pg_class c ON c.oid = t.relid
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.isleaf ORDER BY 2""",
        (oid,),
    )
    return tuple(Relation(**leaf) for leaf in await cursor.fetchall())


async def _children(connection: Connection, oid: int) -> tuple[str, ...]:
    cursor = await connection.execute(
        """SELECT n.nspname || '.' || c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhparent = %s ORDER BY 1""",
        (oid,),
    )
    return tuple(child["name"] for child in await cursor.fetchall())
