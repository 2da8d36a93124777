"""The orders service: the authority of customers and of orders."""

from kompensa_participant import ENGINE, REACTION_ROUTES, Allow, Service
from orders.adapters import adoption
from orders.api import customers, order_history, order_projections, orders, placements, products
from orders.projections import PROJECTIONS
from orders.reactions import reactions

service = Service(
    name="orders",
    title="Orders",
    description="Customers (every change is an event), orders placed by sagas, and a copy of catalog's products.",
    routers=[
        customers.router,
        products.router,
        orders.router,
        order_history.router,
        order_projections.router,
        placements.router,
    ],
    access=[
        Allow(ENGINE, routes=["POST /orders", "POST /orders/cancel", "POST /orders/confirm"]),
        Allow("backoffice", routes=["GET /orders", "GET /orders/{order_id}", "GET /orders/{order_id}/events"]),
        Allow("backoffice", routes=["POST /orders/{order_id}/ship", "POST /orders/{order_id}/deliver"]),
        Allow("backoffice", routes=["GET /order-projections", "GET /order-projections/{order_id}"]),
        Allow("backoffice", routes=["GET /product-revenue/{product_id}"]),
        Allow("backoffice", routes=["GET /status"]),
        Allow("backoffice", routes=["GET /products", "GET /products/{catalog_product_id}"]),
        Allow("backoffice", routes=["GET /customers", "POST /customers"]),
        Allow("backoffice", routes=[f"{method} /customers/{{customer_id}}" for method in ("GET", "PUT", "DELETE")]),
        Allow("backoffice", routes=["POST /placements", "GET /placements/{saga_id}", *REACTION_ROUTES]),
    ],
    background=[adoption.adopt_all],
    projections=PROJECTIONS,
    reactions=reactions,
)
