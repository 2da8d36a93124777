"""The payments service: money taken from payment methods and given back."""

from kompensa_participant import Service
from payments.api import payment_methods, payments

service = Service(
    name="payments",
    title="Payments",
    description="Payment methods with a balance, and payments captured and refunded by sagas.",
    routers=[payment_methods.router, payments.router],
)
