"""A projection: its name, the tables that it fills, and a handler for each event type that it knows.

orders = Projection("orders", Table(name="order_projections", key=("order_id",)), aggregates=["Order"])

@orders.on("PAYMENT_PROCESSED")
async def paid(rows, event):
    order = await rows.get("order_projections", order_id=event.stream.aggregate_id)
    rows.put("order_projections", {**order, "status": "paid"})
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
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
    created_by
        Types of events that make a new row. If such an event is the first of its key in a batch, its row is not loaded.
    """

    name: str
    key: tuple[str, ...]
    key_of: KeyOf | None = None
    created_by: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """A table that handlers only read, for example the names of customers. A rebuild reads the same table.

    Attributes
    ----------
    key
        The columns of a unique key.
    columns
        The columns that handlers need, without those of the key.
    key_of
        As of a `Table`.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    key_of: KeyOf | None = None


class Projection:
    """A named set of handlers.

    Parameters
    ----------
    tables
        All tables that the handlers write. A rebuild creates new ones with the same columns.
    sources
        Tables that the handlers only read.
    aggregates
        The aggregate types that it follows. The default is all.
    """

    def __init__(
        self,
        name: str,
        *tables: Table,
        sources: Sequence[Source] = (),
        aggregates: Sequence[str] | None = None,
    ) -> None:
        self.name = name
        self.tables = tables
        self.sources = tuple(sources)
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
                await rows.load(table.name, _old_keys(table.key_of, table.created_by, events))
        for source in self.sources:
            if source.key_of is not None:
                await rows.load(source.name, [key for event in events if (key := source.key_of(event)) is not None])
        for event in events:
            await self.handlers[event.type](rows, event)
        await rows.store()

    def _follows(self, event: StoredEvent) -> bool:
        ours = self.aggregates is None or event.stream.aggregate_type in self.aggregates
        return ours and event.type in self.handlers


def _old_keys(key_of: KeyOf, created_by: Collection[str], events: Sequence[StoredEvent]) -> Iterator[Mapping[str, Any]]:
    """The keys of rows that may be in the table already."""
    made = set()
    for event in events:
        key = key_of(event)
        if key is None:
            continue
        if event.type in created_by:
            made.add(tuple(key.values()))
        elif tuple(key.values()) not in made:
            yield key
