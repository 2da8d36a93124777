"""The demo's cast: customers, two products at the seed's prices, a funded and an empty payment method (S40, S48)."""

import secrets
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kompensa_dev.demo.checks import wait_for
from kompensa_dev.demo.shop_client import ShopClient

CPF = "12345678901"
PASSPORT = "P1234567"
"""Invoices prints CPF and CNPJ only, so that an order of this customer fails in its fourth step."""
STOCK = 10
FUNDED, EMPTY = "pm-abc", "pm-empty"
BALANCE = "1000.00"
COPY_SECONDS = 60.0
TOTAL = "209.97"
_ADDRESS = {
    "street": "Avenida Paulista",
    "number": "1578",
    "city": "São Paulo",
    "state": "SP",
    "zipCode": "01310-200",
    "country": "BR",
}


@dataclass(frozen=True)
class Product:
    """A product on sale: two of the first cost 59.98, one of the second 149.99."""

    name: str
    price: str
    quantity: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class Scene:
    """Everything of one run, under ids of its own, so that a demo can be repeated on the same system."""

    run: str
    products: tuple[Product, ...]

    @classmethod
    def new(cls) -> "Scene":
        return cls(secrets.token_hex(2), (Product("Clean Code", "29.99", 2), Product("Keyboard", "149.99", 1)))

    def name(self, what: str) -> str:
        """The name of a saga of this run."""
        return f"{what}-{self.run}"

    def customer(self, full_name: str, document: str) -> dict[str, Any]:
        """A new customer with every field of S19."""
        return {
            "email": f"{full_name.split(maxsplit=1)[0].lower()}.{uuid.uuid4().hex[:8]}@example.com",
            "document": document,
            "fullName": full_name,
            "phone": "+55 11 98888-7777",
            "shippingAddress": _ADDRESS,
            "billingAddress": {**_ADDRESS, "number": "1579"},
            "paymentMethods": [
                {"id": FUNDED, "type": "credit_card", "lastFourDigits": "4242"},
                {"id": EMPTY, "type": "pix"},
            ],
        }

    def new_home(self) -> dict[str, Any]:
        """Both addresses of a customer who has moved."""
        home = {**_ADDRESS, "street": "Rua Augusta", "number": "2690", "zipCode": "01412-100"}
        return {"shippingAddress": home, "billingAddress": home}

    def order(self, customer: str, payment_method: str = FUNDED) -> dict[str, Any]:
        """The input of create-order: 2 x 29.99 + 1 x 149.99 = 209.97."""
        items = [{"productId": p.id, "quantity": p.quantity, "price": p.price} for p in self.products]
        return {"customerId": customer, "items": items, "totalAmount": TOTAL, "paymentMethodId": payment_method}

    async def set_up(self, shop: ShopClient) -> None:
        """Put the products on sale and in stock, and money behind one payment method; wait for the copies at orders."""
        for product in self.products:
            await shop.send("inventory", "PUT", f"/stock/{product.id}", {"onHand": STOCK})
            await shop.send("catalog", "PUT", f"/products/{product.id}", {"name": product.name, "price": product.price})
        for method, balance in ((FUNDED, BALANCE), (EMPTY, "0.00")):
            await shop.send("payments", "PUT", f"/payment-methods/{method}", {"balance": balance})
        for product in self.products:
            copied = partial(shop.get, "orders", f"/products/{product.id}")
            await wait_for(copied, what=f"the copy of product {product.name} in orders", timeout=COPY_SECONDS)
