"""Revenue by product and day of payment. It was added when there were orders already, and began at their first event.

The payment's event has no items. So the items of an order are kept until it is paid or cancelled.
"""

from __future__ import annotations

from decimal import Decimal

from kompensa_eventstore import StoredEvent
from kompensa_eventstore.projections import Projection, Rows, Table

TABLE, UNPAID = "product_revenue", "product_revenue_unpaid"

PRODUCT_REVENUE = Projection(
    "product_revenue",
    Table(name=TABLE, key=("catalog_product_id", "day")),
    Table(
        name=UNPAID,
        key=("order_id",),
        key_of=lambda event: {"order_id": event.stream.aggregate_id},
        created_by=["ORDER_CREATED"],
    ),
    aggregates=["Order"],
)


@PRODUCT_REVENUE.on("ORDER_CREATED")
async def created(rows: Rows, event: StoredEvent) -> None:
    """Keep the items until the payment."""
    rows.put(UNPAID, {"order_id": event.stream.aggregate_id, "items": event.data["items"]})


@PRODUCT_REVENUE.on("PAYMENT_PROCESSED")
async def paid(rows: Rows, event: StoredEvent) -> None:
    """Add the items to the revenue of the day, in UTC."""
    order = await rows.get(UNPAID, order_id=event.stream.aggregate_id)
    if order is None:
        raise LookupError(f"{event.stream} has no items that wait for a payment")
    for item in order["items"]:
        key = {"catalog_product_id": item["productId"], "day": event.occurred_at.date()}
        row = await rows.get(TABLE, **key) or {**key, "quantity": 0, "revenue": Decimal(0)}
        quantity, price = item["quantity"], Decimal(item["price"])
        rows.put(
            TABLE,
            {
                **row,
                "product_name": item["name"],
                "quantity": row["quantity"] + quantity,
                "revenue": row["revenue"] + price * quantity,
            },
        )
    rows.delete(UNPAID, order_id=event.stream.aggregate_id)


@PRODUCT_REVENUE.on("ORDER_CANCELLED")
async def cancelled(rows: Rows, event: StoredEvent) -> None:
    """Forget the items."""
    rows.delete(UNPAID, order_id=event.stream.aggregate_id)
