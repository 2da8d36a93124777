"""The shipping service: where customers want their parcels, as a copy of orders' customers."""

from kompensa_participant import Allow, Service
from shipping.api import customers

service = Service(
    name="shipping",
    title="Shipping",
    description="A copy of orders' customers with what a courier needs.",
    routers=[customers.router],
    access=[Allow("backoffice", routes=["GET /customers", "GET /customers/{orders_customer_id}"])],
)
