"""Read models from events (CQRS). Rows and the position in the feed are committed in the same transaction.

- `projection`: a named set of handlers, and the tables that they fill.
- `rows`: the rows that a handler reads and writes. They are loaded and stored in batches.
- `runner`: follows the feed. It can be killed at any point, and only one runner works at a time.
- `rebuild`: applies all events to new tables, then replaces the old ones in one transaction.
- `waiting`: lets a client read its own writes.
- `tables`: DDL of the table in which projections keep their positions.
"""

from kompensa_eventstore.projections.projection import Handler, Projection, Table
from kompensa_eventstore.projections.rebuild import Progress, rebuild
from kompensa_eventstore.projections.rows import ProjectionError, Rows
from kompensa_eventstore.projections.runner import ProjectionRunner, Status, status
from kompensa_eventstore.projections.tables import projections_table
from kompensa_eventstore.projections.waiting import TooOldError, at_least

__all__ = [
    "Handler",
    "Progress",
    "Projection",
    "ProjectionError",
    "ProjectionRunner",
    "Rows",
    "Status",
    "Table",
    "TooOldError",
    "at_least",
    "projections_table",
    "rebuild",
    "status",
]
