"""The reference shop as a test sees it: set a scene over HTTP, and say what an order looks like."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.support.http import Answer, call
from tests.support.waiting import eventually

CPF = "12345678901"
"""A document that invoices can print; the passport below is one that it refuses (document-not-billable)."""
PASSPORT = "P1234567"

ADDRESS = {
    "street": "Rua das Flores",
    "number": "42",
    "city": "São Paulo",
    "state": "SP",
    "zipCode": "01000-000",
    "country": "BR",
}


@dataclass(frozen=True)
class Scene:
    """One customer, two products in stock at the seed's prices, and a funded payment method, all under fresh ids.

    The amounts are those of the test vector S48: 2 x 29.99 + 1 x 149.99 = 209.97.
    """

    customer_id: str
    product_a: str = field(default_factory=lambda: str(uuid.uuid4()))
    product_b: str = field(default_factory=lambda: str(uuid.uuid4()))
    payment_method: str = "pm-abc"

    def order(self, **changes: Any) -> dict[str, Any]:
        """The input of `create-order`; keyword arguments replace fields."""
        return {
            "customerId": self.customer_id,
            "items": [
                {"productId": self.product_a, "quantity": 2, "price": "29.99"},
                {"productId": self.product_b, "quantity": 1, "price": "149.99"},
            ],
            "totalAmount": "209.97",
            "paymentMethodId": self.payment_method,
            **changes,
        }


@dataclass(frozen=True)
class Shop:
    """The services by name, for example {"orders": "http://127.0.0.1:18081"}.

    `token_of` returns the token that a service expects from the tests, or None if it checks no callers.
    """

    urls: Mapping[str, str]
    token_of: Callable[[str], str | None]

    def call(self, service: str, method: str, path: str, body: Any = None) -> Answer:
        token = self.token_of(service)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return call(method, self.urls[service] + path, body, headers=headers)

    def customer(
        self, *, document: str = CPF, name: str = "Ana Souza", payment_method: str = "pm-abc"
    ) -> dict[str, Any]:
        """A new customer with every field of S19."""
        body = {
            "email": f"{uuid.uuid4().hex[:12]}@example.com",
            "document": document,
            "fullName": name,
            "phone": "+55 11 99999-0000",
            "shippingAddress": ADDRESS,
            "billingAddress": {**ADDRESS, "number": "43"},
            "paymentMethods": [{"id": payment_method, "type": "credit_card", "lastFourDigits": "4242"}],
        }
        created: dict[str, Any] = self.call("orders", "POST", "/customers", body).ok()
        return created

    def scene(self, *, document: str = CPF, stock: int = 1000, balance: str = "100000.00") -> Scene:
        """Everything an order needs, independent of other scenes. Its copies at orders and payments have arrived."""
        method = f"pm-{uuid.uuid4().hex[:12]}"
        customer = self.customer(document=document, payment_method=method)
        scene = Scene(customer_id=customer["id"], payment_method=method)
        for product, price in ((scene.product_a, "29.99"), (scene.product_b, "149.99")):
            self.call("inventory", "PUT", f"/stock/{product}", {"onHand": stock}).ok()
            self.call("catalog", "PUT", f"/products/{product}", {"name": f"Product {price}", "price": price}).ok()
        self.call("payments", "PUT", f"/payment-methods/{scene.payment_method}", {"balance": balance}).ok()
        eventually(partial(self._copied, scene), "the copies of a scene at orders and payments", seconds=60, every=0.1)
        return scene

    def _copied(self, scene: Scene) -> bool:
        copies = [("orders", f"/products/{product}") for product in (scene.product_a, scene.product_b)]
        copies.append(("payments", f"/customers/{scene.customer_id}"))
        return all(self.call(service, "GET", path).status == 200 for service, path in copies)

    def kept_of(self, scene: Scene) -> dict[str, Any]:
        """All that a saga could change, in one comparable value: stock and money of the scene."""
        return {
            "stock": [self.call("inventory", "GET", f"/stock/{p}").ok() for p in (scene.product_a, scene.product_b)],
            "balance": self.call("payments", "GET", f"/payment-methods/{scene.payment_method}").ok()["balance"],
        }


def saga(
    name: str, order: Mapping[str, Any], *, definition: str = "create-order", namespace: str = "shop", **spec: Any
) -> dict[str, Any]:
    """A Saga object in the shop's namespace."""
    return {
        "apiVersion": "kompensa.dev/v1alpha1",
        "kind": "Saga",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"definitionRef": {"name": definition}, "input": dict(order), **spec},
    }
