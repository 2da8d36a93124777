"""The inventory service: how many pieces there are, and for whom some are kept."""

from inventory.api import products, reservations, stock
from inventory.reactions import reactions
from kompensa_participant import ENGINE, REACTION_ROUTES, Allow, Service

service = Service(
    name="inventory",
    title="Inventory",
    description="Stock per product, reservations made and released by sagas, and a copy of the products' names.",
    routers=[stock.router, reservations.router, products.router],
    access=[
        Allow(ENGINE, routes=["POST /reservations", "POST /reservations/release", "POST /reservations/sell"]),
        Allow(
            "backoffice",
            routes=["GET /reservations", "GET /stock", "GET /stock/{product_id}", "PUT /stock/{product_id}"],
        ),
        Allow("backoffice", routes=["GET /products", "GET /products/{catalog_product_id}"]),
        Allow("backoffice", routes=REACTION_ROUTES),
    ],
    reactions=reactions,
)
