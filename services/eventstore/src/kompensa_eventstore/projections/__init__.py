"""Read models kept from events (CQRS): rows that follow the feed, with the position in the same transaction.

tables       DDL of the bookkeeping
projection   a named set of handlers and the tables that they fill
rows         what a handler reads and writes: loaded and stored a batch at a time
runner       follows the feed; one at a time; survives a kill at any point
rebuild      the same handlers over all events into new tables, swapped in at once
waiting      read your own writes
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
