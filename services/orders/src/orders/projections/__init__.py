"""Tables for reading that follow the events of orders (CQRS, S60 to S63).

- `order_projection`: one row for each order.
- `customer_names`: the names to show with orders.
- `product_revenue`: revenue by product and day.
- `queries`: reads these tables, and no others.
"""

from kompensa_eventstore import Feed
from kompensa_participant.projections import Projected
from orders.adapters.order_events import ORDERS, TYPES
from orders.projections.customer_names import CUSTOMER_NAMES
from orders.projections.order_projection import ORDER_PROJECTION
from orders.projections.product_revenue import PRODUCT_REVENUE

EVENTS = Feed("orders", types={ORDERS.aggregate_type: TYPES})
CUSTOMER_CHANGES = Feed("orders", "customer_changes")

PROJECTIONS = [
    Projected(ORDER_PROJECTION, EVENTS),
    Projected(CUSTOMER_NAMES, CUSTOMER_CHANGES),
    Projected(PRODUCT_REVENUE, EVENTS),
]
