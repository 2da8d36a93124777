"""Shipments of paid orders: prepared, then dispatched with a tracking number, then delivered (S76)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from kompensa_participant import After, Database, Form, Limit, Message
from shipping.adapters import shipments
from shipping.domain.shipment import ShipmentStatus

router = APIRouter(prefix="/shipments", tags=["shipments"])


class PrepareShipment(Form):
    order_id: UUID


class DispatchShipment(Form):
    tracking_number: Annotated[str, Field(min_length=1, max_length=100, examples=["BR-123456789"])]


class Shipment(Message):
    """The parcel of one order. `trackingNumber` is null until it is dispatched."""

    id: UUID
    order_id: UUID
    status: ShipmentStatus
    tracking_number: str | None
    version: int
    created_at: datetime
    dispatched_at: datetime | None
    delivered_at: datetime | None


@router.post("", status_code=201, responses={200: {"model": Shipment}})
async def prepare(body: PrepareShipment, database: Database, response: Response) -> Shipment:
    """Make the shipment of a paid order; 404 unknown-order, 409 order-not-paid, order-cancelled. An order has one
    shipment: a second request returns it (200)."""
    shipment, is_new = await shipments.prepare(database, body.order_id)
    response.status_code = 201 if is_new else 200
    return Shipment(**vars(shipment))


@router.get("")
async def listing(
    database: Database,
    limit: Limit = 100,
    after: After = None,
    status: Annotated[ShipmentStatus | None, Query(description="Only shipments of this status.")] = None,
) -> list[Shipment]:
    """Return up to `limit` shipments in the order of their ids, from the one after `after`."""
    return [
        Shipment(**vars(shipment))
        for shipment in await shipments.page(database, limit=limit, after=after, status=status)
    ]


@router.get("/{shipment_id}")
async def get(shipment_id: UUID, database: Database) -> Shipment:
    """Return one shipment; 404 unknown-shipment."""
    return Shipment(**vars(await shipments.find(database, shipment_id)))


@router.post("/{shipment_id}/dispatch", tags=["commands"])
async def dispatch(shipment_id: UUID, body: DispatchShipment, database: Database) -> Shipment:
    """Hand a shipment to the courier; 404 unknown-shipment, 409 shipment-already-dispatched, tracking-number-taken."""
    return Shipment(**vars(await shipments.dispatch(database, shipment_id, tracking_number=body.tracking_number)))


@router.post("/{shipment_id}/deliver", tags=["commands"])
async def deliver(shipment_id: UUID, database: Database) -> Shipment:
    """Record that a shipment has arrived; 404 unknown-shipment, 409 shipment-not-dispatched."""
    return Shipment(**vars(await shipments.deliver(database, shipment_id)))
