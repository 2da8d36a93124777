"""A projection: its name, the tables that it fills, and a handler for each event type that it knows.

orders = Projection("orders", Table("order_projections", key=("order_id",)), aggregates=["Order"])

@orders.on("PAYMENT_PROCESSED")
async def paid(rows, event):
    order = await rows.get("order_projections", order_id=event.stream.aggregate_id)
    rows.put("order_projections", {**order, "status": "paid"})
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kompensa_eventstore.events import StoredEvent
from kompensa_eventstore.projections.rows import Rows

Handler = Callable[[Rows, StoredEvent], Awaitable[None]]
"""Changes rows by one event. It must use only these two, so that a rebuild gives the same rows again."""
KeyOf = Callable[[StoredEvent], Mapping[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a projection.

    Attributes
    ----------
    key
        The columns of its primary key.
    key_of
        Returns the key of the row that an event needs, or None if the event does not say. With this function, one query
        loads the rows of a whole batch.
    """

    name: str
    key: tuple[str, ...]
    key_of: KeyOf | None = None


class Projection:
    """A named set of handlers.

    Parameters
    ----------
    tables
        All tables that the handlers write. A rebuild creates new ones with the same columns.
    aggregates
        The aggregate types that it follows. The default is all.
    """

    def __init__(self, name: str, *tables: Table, aggregates: Sequence[str] | None = None) -> None:
        self.name = name
        self.tables = tables
        self.aggregates = aggregates
        self.handlers: dict[str, Handler] = {}

    def on(self, *types: str) -> Callable[[Handler], Handler]:
        """Register the handler of one or more event types. Events of other types are skipped."""

        def register(handler: Handler) -> Handler:
            for type_ in types:
                if type_ in self.handlers:
                    raise ValueError(f"projection {self.name} has two handlers for {type_}")
                self.handlers[type_] = handler
            return handler

        return register

    async def apply(self, rows: Rows, events: Sequence[StoredEvent]) -> None:
        """Load the rows that the events need, call the handlers, and store the rows."""
        events = [event for event in events if self._follows(event)]
        for table in self.tables:
            if table.key_of is not None:
                keys = [key for event in events if (key := table.key_of(event)) is not None]
                await rows.load(table.name, keys)
        for event in events:
            await self.handlers[event.type](rows, event)
        await rows.store()

    def _follows(self, event: StoredEvent) -> bool:
        ours = self.aggregates is None or event.stream.aggregate_type in self.aggregates
        return ours and event.type in self.handlers
