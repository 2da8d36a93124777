"""The copy of the payment methods of orders' customers. Only the replica worker writes it."""

from kompensa_participant import Copies

copies = Copies("customers", key="orders_customer_id", noun="customer", authority="orders")
