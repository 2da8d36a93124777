"""The invoices service: invoices, and the copy of customers it prints them from."""

from invoices.api import customers, invoices
from kompensa_participant import Service

service = Service(
    name="invoices",
    title="Invoices",
    description="Invoices issued and cancelled by sagas, from a copy of orders' customers.",
    routers=[invoices.router, customers.router],
)
