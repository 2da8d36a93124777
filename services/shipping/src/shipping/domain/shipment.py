"""A shipment and its way: prepared, dispatched, delivered. It never goes back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from kompensa_participant import Refused, utc


class ShipmentStatus(StrEnum):
    """How far a shipment is."""

    PREPARED = "prepared"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """The parcel of one order. `version` counts its changes, from 1."""

    id: UUID
    order_id: UUID
    status: ShipmentStatus
    version: int
    created_at: datetime
    tracking_number: str | None = None
    dispatched_at: datetime | None = None
    delivered_at: datetime | None = None


def dispatch(shipment: Shipment, *, tracking_number: str, now: datetime) -> Shipment:
    """Hand the parcel to the courier. With the same tracking number again, nothing changes.

    Raises
    ------
    Refused
        409 `shipment-already-dispatched`, with another tracking number.
    """
    if shipment.status is ShipmentStatus.PREPARED:
        return replace(
            shipment,
            status=ShipmentStatus.DISPATCHED,
            tracking_number=tracking_number,
            dispatched_at=now,
            version=shipment.version + 1,
        )
    if shipment.tracking_number == tracking_number:
        return shipment
    raise Refused(
        "shipment-already-dispatched",
        f"shipment {shipment.id} was dispatched with the tracking number {shipment.tracking_number}",
        status=409,
    )


def deliver(shipment: Shipment, *, now: datetime) -> Shipment:
    """Record that the parcel has arrived. If that is recorded already, nothing changes.

    Raises
    ------
    Refused
        409 `shipment-not-dispatched`.
    """
    match shipment.status:
        case ShipmentStatus.PREPARED:
            detail = f"shipment {shipment.id} cannot be delivered before it is dispatched with a tracking number"
            raise Refused("shipment-not-dispatched", detail, status=409)
        case ShipmentStatus.DISPATCHED:
            return replace(shipment, status=ShipmentStatus.DELIVERED, delivered_at=now, version=shipment.version + 1)
        case ShipmentStatus.DELIVERED:
            return shipment


def payload(shipment: Shipment) -> Mapping[str, Any]:
    """The data of an event: the full state, so that a reader of one event needs no other."""
    return {
        "shipmentId": str(shipment.id),
        "orderId": str(shipment.order_id),
        "status": shipment.status.value,
        "trackingNumber": shipment.tracking_number,
        "dispatchedAt": utc(shipment.dispatched_at) if shipment.dispatched_at else None,
        "deliveredAt": utc(shipment.delivered_at) if shipment.delivered_at else None,
    }
