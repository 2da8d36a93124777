"""The payments service: money taken from payment methods and given back."""

from kompensa_participant import Service
from payments.api import customers, payment_methods, payments

service = Service(
    name="payments",
    title="Payments",
    description="Payments captured and refunded by sagas, balances, and a copy of customers' payment methods.",
    routers=[payment_methods.router, payments.router, customers.router],
)
