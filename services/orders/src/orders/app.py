"""The orders service: the authority of customers and of orders."""

from kompensa_participant import Service
from orders.api import customers, orders, prices

service = Service(
    name="orders",
    title="Orders",
    description="Customers (every change is an event), prices, and orders made, cancelled and confirmed by sagas.",
    routers=[customers.router, prices.router, orders.router],
)
