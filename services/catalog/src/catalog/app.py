"""The catalog service: the authority of products and their prices."""

from catalog.api import products
from kompensa_participant import Allow, Service

service = Service(
    name="catalog",
    title="Catalog",
    description="Products and their prices. Every change is an event.",
    routers=[products.router],
    access=[
        Allow("backoffice", routes=["GET /products", "POST /products"]),
        Allow("backoffice", routes=[f"{method} /products/{{product_id}}" for method in ("GET", "PUT", "DELETE")]),
        Allow("backoffice", routes=["POST /products/{product_id}/withdraw"]),
    ],
)
