"""The inventory service: how many pieces there are, and for whom some are kept."""

from inventory.api import products, reservations, stock
from kompensa_participant import Service

service = Service(
    name="inventory",
    title="Inventory",
    description="Stock per product, reservations made and released by sagas, and a copy of the products' names.",
    routers=[stock.router, reservations.router, products.router],
)
