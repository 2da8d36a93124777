"""The name of each customer. The event only says that it changed; the name itself is read from `customers`.

So no event has a personal field, and a customer who is deleted has no name here. One row changes with a name, however
many orders the customer has.
"""

from __future__ import annotations

from uuid import UUID

from kompensa_eventstore import StoredEvent
from kompensa_eventstore.projections import Projection, Rows, Source, Table

TABLE = "customer_names"


def _id(event: StoredEvent) -> dict[str, UUID]:
    return {"id": event.stream.aggregate_id}


CUSTOMER_NAMES = Projection(
    "customer_names",
    Table(name=TABLE, key=("customer_id",)),
    sources=[Source(name="customers", key=("id",), columns=("full_name", "deleted_at"), key_of=_id)],
    aggregates=["Customer"],
)


@CUSTOMER_NAMES.on("CUSTOMER_CHANGED")
async def changed(rows: Rows, event: StoredEvent) -> None:
    """The name as it is now, which may be newer than the event."""
    customer = await rows.get("customers", **_id(event))
    if customer is None:
        rows.delete(TABLE, customer_id=event.stream.aggregate_id)
        return
    name = None if customer["deleted_at"] else customer["full_name"]
    rows.put(TABLE, {"customer_id": event.stream.aggregate_id, "customer_name": name})
