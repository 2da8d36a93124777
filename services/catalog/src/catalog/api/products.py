"""Products: this service is their authority. Orders and inventory hold copies, which follow by events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from catalog.adapters import products
from catalog.domain.product import ProductState, Status
from kompensa_participant import (
    After,
    Database,
    Form,
    IfMatch,
    Limit,
    Money,
    entity_tag,
    matched_versions,
)

router = APIRouter(prefix="/products", tags=["products"])


class ProductForm(Form):
    """A product's whole state. `status` is active if it is left out; a withdrawn product cannot be ordered."""

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["Keyboard"])]
    description: Annotated[str, Field(max_length=4000, examples=["83 keys, Brazilian layout"])] = ""
    price: Annotated[Money, Field(gt=0)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217", examples=["BRL"])] = "BRL"
    status: Status = "active"

    def state(self) -> ProductState:
        return ProductState(
            name=self.name,
            description=self.description,
            price=self.price,
            currency=self.currency,
            status=self.status,
        )


class Product(ProductForm):
    """A product with what the service adds. `version` counts the changes, from 1."""

    id: UUID
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: products.Row) -> Product:
        return cls(**{name: value for name, value in row.items() if name != "deleted_at"})


@router.post("", status_code=201)
async def create(body: ProductForm, database: Database, response: Response) -> Product:
    """Add a product under a new id; the copies at other services follow by an event."""
    return _tagged(await products.create(database, body.state()), response)


@router.get("")
async def listing(database: Database, limit: Limit = 100, after: After = None) -> list[Product]:
    """Return up to `limit` products in the order of their ids, from the one after `after`; no deleted ones."""
    return [Product.of(row) for row in await products.page(database, limit=limit, after=after)]


@router.get("/{product_id}")
async def get(product_id: UUID, database: Database, response: Response) -> Product:
    """Return one product; 404 unknown-product, 410 product-deleted. The ETag is its version in quotes."""
    return _tagged(await products.find(database, product_id), response)


@router.put("/{product_id}", responses={201: {"model": Product}})
async def put(
    product_id: UUID, body: ProductForm, database: Database, response: Response, if_match: IfMatch = None
) -> Product:
    """Replace a product's whole state. Without If-Match, an unknown id adds the product (201), for example with the
    id that it has in an older system."""
    if if_match is not None:
        versions = matched_versions(if_match)
        return _tagged(await products.replace(database, product_id, body.state(), versions), response)
    row = await products.put(database, product_id, body.state())
    response.status_code = 201 if row["version"] == 1 else 200
    return _tagged(row, response)


@router.post("/{product_id}/withdraw")
async def withdraw(product_id: UUID, database: Database, response: Response, if_match: IfMatch = None) -> Product:
    """Take a product off sale. A PUT with the status active offers it again."""
    return _tagged(await products.withdraw(database, product_id, matched_versions(if_match)), response)


@router.delete("/{product_id}", status_code=204)
async def delete(product_id: UUID, database: Database, if_match: IfMatch = None) -> None:
    """Delete a product. Orders and invoices keep its name and price as they were."""
    await products.delete(database, product_id, matched_versions(if_match))


def _tagged(row: products.Row, response: Response) -> Product:
    response.headers["ETag"] = entity_tag(row["version"])
    return Product.of(row)
