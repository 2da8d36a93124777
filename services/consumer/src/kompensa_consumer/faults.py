"""Decide by its SQLSTATE whether an error is the fault of the database, the tables or one event. Pure.

The errors of a database in trouble and of a wrong table are known. An event's values can cause any other error (types,
constraints, policies, everything that a trigger raises), so the rest counts as the event's.

Parking blames one event. If the table may be to blame, parking therefore needs proof: that other events fit.
"""

import re
from enum import Enum, auto

import psycopg


class Fault(Enum):
    """The part that is to blame, which decides what the worker does."""

    DATABASE = auto()
    """Retry."""
    TABLE = auto()
    """Report it, and start a new session, which reads the table again."""
    UNCLEAR = auto()
    """Park the event if other events fit; if none does, treat the error as the table's."""
    EVENT = auto()
    """Park the event."""


# By class: connection, transaction state (a standby), login, conflicts, resources, intervention, system, configuration.
_DATABASE_CLASSES = frozenset({"08", "25", "28", "3D", "40", "53", "57", "58", "F0"})
_DATABASE_CODES = frozenset({"55006", "55P03", "XX001", "XX002"})  # in use, locked, corrupted
_TABLE_CLASSES = frozenset({"0A", "2D", "3F", "42"})  # mostly missing tables, columns, functions and rights
_TABLE_CODES = frozenset({"55000"})  # a view, or published without a replica identity
# The worker's statements are well-formed: a syntax error is in a value, for example of type ltree or tsquery.
_VALUE_CODES = frozenset({"42601", "42602", "42622"})
# PostgreSQL's functions that report a row-level policy and PL/pgSQL's RAISE. Both reject this row, with any code.
_JUDGEMENTS = frozenset({"ExecWithCheckOptions", "exec_stmt_raise"})


def fault_of(error: psycopg.Error) -> Fault:
    """Decide which part is to blame for an error.

    The order matters: a policy or a RAISE rejects one row even if its code is one of a wrong table. An error inside a
    function is unclear, since not every row may reach the line that fails.
    """
    diagnosis = error.diag
    code = diagnosis.sqlstate
    if code is None:  # found by the client: a lost connection, or a value that it cannot send
        return Fault.EVENT if isinstance(error, psycopg.DataError) else Fault.DATABASE
    if code[:2] in _DATABASE_CLASSES or code in _DATABASE_CODES:
        return Fault.DATABASE
    if diagnosis.source_function in _JUDGEMENTS:
        return Fault.EVENT
    if code[:2] in _TABLE_CLASSES or code in _TABLE_CODES:
        if diagnosis.context:  # inside a trigger or another function
            return Fault.UNCLEAR
        return Fault.EVENT if code in _VALUE_CODES else Fault.TABLE
    return Fault.UNCLEAR if code.startswith("XX") else Fault.EVENT


def may_blame_event(error: psycopg.Error) -> bool:
    """Whether one event may be to blame, so that it is worth looking for that event."""
    return fault_of(error) in (Fault.EVENT, Fault.UNCLEAR)


def explain(error: psycopg.Error) -> str:
    """Return PostgreSQL's reason, with column or constraint, and without the value: that may be personal."""
    diagnosis = error.diag
    text = re.sub(r': ".*"$', "", diagnosis.message_primary or type(error).__name__)
    place = diagnosis.constraint_name or diagnosis.column_name
    return f"{text} ({place})" if place and place not in text else text
