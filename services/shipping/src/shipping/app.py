"""The shipping service: shipments of paid orders, and copies of what they need."""

from kompensa_participant import REACTION_ROUTES, Allow, Service
from shipping.api import customers, shipments
from shipping.reactions import reactions

service = Service(
    name="shipping",
    title="Shipping",
    description="Shipments of paid orders, and a copy of orders' customers with what a courier needs.",
    routers=[customers.router, shipments.router],
    access=[
        Allow("backoffice", routes=["GET /customers", "GET /customers/{orders_customer_id}"]),
        Allow("backoffice", routes=["GET /shipments", "POST /shipments", "GET /shipments/{shipment_id}"]),
        Allow("backoffice", routes=[f"POST /shipments/{{shipment_id}}/{verb}" for verb in ("dispatch", "deliver")]),
        Allow("backoffice", routes=REACTION_ROUTES),
    ],
    reactions=reactions,
)
