"""The orders service with what an order needs: two products, a customer, and the seed's order (S48)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kompensa_dev.postgres import Login
from orders.app import service
from tests.integration.conftest_participants import Participant, SagaCall, serve
from tests.integration.product_copies import copy_to_orders
from tests.support.shop import ADDRESS

MOUSE, SCREEN = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


@pytest.fixture
async def orders(database: Login) -> AsyncIterator[Participant]:
    """Orders with copies of the seed's two products."""
    async with serve(service, database) as participant:
        copy_products(participant)
        yield participant


@pytest.fixture
async def ana(orders: Participant) -> str:
    """The id of a customer."""
    return await register(orders)


def copy_products(orders: Participant) -> None:
    for product, name, price in ((MOUSE, "Mouse", "29.99"), (SCREEN, "Screen", "149.99")):
        copy_to_orders(orders, product, name, price)


async def register(orders: Participant) -> str:
    """A new customer's id."""
    form = {
        "email": "ana@example.com",
        "document": "12345678901",
        "fullName": "Ana Souza",
        "shippingAddress": ADDRESS,
        "billingAddress": ADDRESS,
    }
    created: str = (await orders.client.post("/customers", json=form)).json()["id"]
    return created


def order(customer: str, **changes: Any) -> dict[str, Any]:
    """The body of create-order."""
    items = [
        {"productId": MOUSE, "quantity": 2, "price": "29.99"},
        {"productId": SCREEN, "quantity": 1, "price": "149.99"},
    ]
    return {"customerId": customer, "items": items, "totalAmount": "209.97", **changes}


def slug(reply: httpx.Response) -> tuple[int, str]:
    """The status and the kind of a problem."""
    return reply.status_code, reply.json()["type"].rpartition(":")[2]


def next_step(saga: SagaCall, step: str) -> SagaCall:
    return SagaCall(client=saga.client, saga_id=saga.saga_id, step=step)
