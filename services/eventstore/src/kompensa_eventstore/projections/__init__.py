"""Read models from events (CQRS). Rows and the position in the feed are committed in the same transaction.

- `projection`: a named set of handlers, and the tables that they fill.
- `rows`: the rows that a handler reads and writes. They are loaded and stored in batches, by `statements`.
- `runner`: follows the feed. It can be killed at any point.
- `turn`: one runner works at a time, and another takes over from one that has ended or hangs.
- `bookkeeping`: moves the position in the transaction of the rows.
- `status`: position, lag, and the failure that stops a projection.
- `rebuild`: applies all events to new tables (`shadow`), then replaces the old ones in one transaction.
- `waiting`: lets a client read its own writes.
- `tables`: DDL of the table in which projections keep their positions.
"""

from kompensa_eventstore.projections.projection import Handler, Projection, Source, Table
from kompensa_eventstore.projections.rebuild import Progress, rebuild
from kompensa_eventstore.projections.rows import Rows
from kompensa_eventstore.projections.runner import ProjectionRunner
from kompensa_eventstore.projections.statements import ProjectionError
from kompensa_eventstore.projections.status import Failure, Status, status
from kompensa_eventstore.projections.tables import projections_table
from kompensa_eventstore.projections.waiting import TooOldError, at_least

__all__ = [
    "Failure",
    "Handler",
    "Progress",
    "Projection",
    "ProjectionError",
    "ProjectionRunner",
    "Rows",
    "Source",
    "Status",
    "Table",
    "TooOldError",
    "at_least",
    "projections_table",
    "rebuild",
    "status",
]
