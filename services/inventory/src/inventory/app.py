"""The inventory service: how many pieces there are, and for whom some are kept."""

from inventory.api import reservations, stock
from kompensa_participant import Service

service = Service(
    name="inventory",
    title="Inventory",
    description="Stock per product, and reservations made and released by sagas.",
    routers=[stock.router, reservations.router],
)
