"""The orders service: the authority of customers and of orders."""

from kompensa_participant import Service
from orders.api import customers, orders, products

service = Service(
    name="orders",
    title="Orders",
    description="Customers (every change is an event), orders placed by sagas, and a copy of catalog's products.",
    routers=[customers.router, products.router, orders.router],
)
