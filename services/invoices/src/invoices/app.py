"""The invoices service: invoices, and the copy of customers it prints them from."""

from invoices.api import customers, invoices
from invoices.reactions import reactions
from kompensa_participant import ENGINE, REACTION_ROUTES, Allow, Service

service = Service(
    name="invoices",
    title="Invoices",
    description="Invoices issued and cancelled by sagas, from a copy of orders' customers.",
    routers=[invoices.router, customers.router],
    access=[
        Allow(ENGINE, routes=["POST /invoices", "POST /invoices/cancel"]),
        Allow("backoffice", routes=["GET /invoices", "GET /invoices/{invoice_id}"]),
        Allow("backoffice", routes=["GET /customers", "GET /customers/{orders_customer_id}"]),
        Allow("backoffice", routes=REACTION_ROUTES),
    ],
    reactions=reactions,
)
