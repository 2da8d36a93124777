"""Shipping learns from the events of orders which orders are paid."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from kompensa_participant import Reactions, ReceivedEvent
from shipping.adapters import orders

reactions = Reactions()


@reactions.on("orders.Order")
async def follow(tx: AsyncConnection[Any], event: ReceivedEvent) -> None:
    """Keep the status of the order."""
    await orders.follow(tx, UUID(event.key), event_type=event.type, version=event.aggregate_version)
