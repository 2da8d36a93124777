"""The projections of a service: tables for reading that follow the service's events (CQRS).

events = Feed("orders")
service = Service(name="orders", ..., projections=[Projected(order_view, events), Projected(revenue, events)])

- `declaration`: a projection and the feed that it follows.
- `running`: runs each of them for as long as the service runs. One pod works, the others wait.
- `routes` and `metrics`: position, lag and failure, at `/status` and `/metrics`.
- `commands`: `python3 -m <service> projections list | rebuild`.
- `paging`: pages of a projection, the newest rows first.
- `reading`: waits for a version of a row, so that a client reads its own writes.

Of the kit, only this package needs `kompensa-eventstore`: install `kompensa-participant[projections]`.
"""

from kompensa_participant.projections.declaration import Projected
from kompensa_participant.projections.paging import Cursor, NewestFirst, newest_first
from kompensa_participant.projections.reading import MinVersion, at_version

__all__ = ["Cursor", "MinVersion", "NewestFirst", "Projected", "at_version", "newest_first"]
