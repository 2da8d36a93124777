"""The catalog service: the authority of products and their prices."""

from catalog.api import products
from kompensa_participant import Service

service = Service(
    name="catalog",
    title="Catalog",
    description="Products and their prices. Every change is an event.",
    routers=[products.router],
)
