"""The payments service: money taken from payment methods and given back."""

from kompensa_participant import ENGINE, REACTION_ROUTES, Allow, Service
from payments.api import customers, payment_methods, payments
from payments.reactions import reactions

service = Service(
    name="payments",
    title="Payments",
    description="Payments captured and refunded by sagas, balances, and a copy of customers' payment methods.",
    routers=[payment_methods.router, payments.router, customers.router],
    access=[
        Allow(ENGINE, routes=["POST /payments", "POST /payments/refund"]),
        Allow(
            "backoffice",
            routes=["GET /payments", "GET /payment-methods/{method_id}", "PUT /payment-methods/{method_id}"],
        ),
        Allow("backoffice", routes=["GET /customers", "GET /customers/{orders_customer_id}"]),
        Allow("backoffice", routes=REACTION_ROUTES),
    ],
    reactions=reactions,
)
