"""The saga's steps reserve-inventory (with its compensation) and sell-inventory."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from inventory.adapters import reservations
from kompensa_participant import Action, Compensation, Database, Message, SagaReference

router = APIRouter(prefix="/reservations", tags=["saga"])


class Item(Message):
    """Pieces of one product. Other fields of an order's item, for example its price, are ignored here."""

    product_id: UUID
    quantity: Annotated[int, Field(strict=True, examples=[2])]


class Reserve(Message):
    saga_id: UUID
    items: Annotated[list[Item], Field(min_length=1, max_length=200)]


class Reserved(Message):
    reservation_id: UUID


class Sold(Message):
    reservation_id: UUID
    status: Annotated[str, Field(examples=["sold"])]


class Reservation(Message):
    id: UUID
    saga_id: UUID
    status: Annotated[str, Field(examples=["reserved", "released", "sold"])]
    created_at: datetime
    released_at: datetime | None
    sold_at: datetime | None


@router.post("", status_code=201, responses={201: {"model": Reserved}})
async def reserve(body: Reserve, action: Action) -> Response:
    """Keep the pieces for this saga, or refuse (409 insufficient-stock, 422 unknown-product, invalid-quantity)."""
    items = [(item.product_id, item.quantity) for item in body.items]
    return await action.once(
        lambda tx: reservations.reserve(tx, action.saga_id, items),
        status=201,
        effect="Inventory reservation {reservationId} made",
    )


@router.post("/release")
async def release(_: SagaReference, compensation: Compensation) -> Response:
    """Give the pieces back, or refuse (409 reservation-sold)."""
    return await compensation.once(
        lambda tx, reserved: reservations.release(tx, compensation.saga_id, UUID(reserved["reservationId"])),
        effect="Inventory reservation {reservationId} released",
    )


@router.post("/sell", responses={200: {"model": Sold}})
async def sell(_: SagaReference, action: Action) -> Response:
    """Turn the saga's reservation into a sale, or refuse (409 nothing-reserved)."""
    return await action.once(
        lambda tx: reservations.sell(tx, action.saga_id), effect="Inventory reservation {reservationId} sold"
    )


@router.get("")
async def of_saga(saga_id: Annotated[UUID, Query(alias="sagaId")], database: Database) -> list[Reservation]:
    """Return the reservations of one saga, none if it has made none."""
    return [Reservation(**row) for row in await reservations.of_saga(database, saga_id)]
