"""Whose fault an error of PostgreSQL is: the database's, the table's, or one event's. Pure; by its SQLSTATE.

What an event's values can cause has no end (types, constraints, policies, whatever a trigger raises), so it is the
rest: what the database's own trouble and a wrong table look like is known. Parking blames one event, so where it may be
the table's fault, parking needs the proof that other events fit.
"""

from enum import Enum, auto

import psycopg


class Fault(Enum):
    """Who is to blame, and so what is to be done.

    `DATABASE`: try again. `TABLE`: tell it, and begin anew. `UNCLEAR`: the event's if others fit, else the table's.
    `EVENT`: park it.
    """

    DATABASE = auto()
    TABLE = auto()
    UNCLEAR = auto()
    EVENT = auto()


# By class: connection, transaction state (a standby), login, conflicts, resources, intervention, system, configuration.
_DATABASE_CLASSES = frozenset({"08", "25", "28", "3D", "40", "53", "57", "58", "F0"})
_DATABASE_CODES = frozenset({"55006", "55P03", "XX001", "XX002"})  # in use, locked, corrupted
_TABLE_CLASSES = frozenset({"0A", "2D", "3F", "42"})  # missing tables, columns, functions and rights, foremost
_TABLE_CODES = frozenset({"55000"})  # a view, or published without a replica identity
# Our statements are well-formed: such syntax is a value's, of ltree or tsquery.
_VALUE_CODES = frozenset({"42601", "42602", "42622"})
# PostgreSQL's functions that report a row-level policy and PL/pgSQL's RAISE: a judgement on the row, whatever its code.
_JUDGEMENTS = frozenset({"ExecWithCheckOptions", "exec_stmt_raise"})


def fault_of(error: psycopg.Error) -> Fault:
    diagnosis = error.diag
    code = diagnosis.sqlstate
    if code is None:  # found by the client: a lost connection, or a value that it cannot send
        return Fault.EVENT if isinstance(error, psycopg.DataError) else Fault.DATABASE
    if code[:2] in _DATABASE_CLASSES or code in _DATABASE_CODES:
        return Fault.DATABASE
    if diagnosis.source_function in _JUDGEMENTS:
        return Fault.EVENT
    if code[:2] in _TABLE_CLASSES or code in _TABLE_CODES:
        if diagnosis.context:  # inside of a trigger or another function, on a way that not every row may take
            return Fault.UNCLEAR
        return Fault.EVENT if code in _VALUE_CODES else Fault.TABLE
    return Fault.UNCLEAR if code.startswith("XX") else Fault.EVENT


def may_blame_event(error: psycopg.Error) -> bool:
    """Whether it may be one event's fault, so that it is worth looking for that event."""
    return fault_of(error) in (Fault.EVENT, Fault.UNCLEAR)
