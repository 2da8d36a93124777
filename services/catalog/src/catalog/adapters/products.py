"""Products, and the event of each change in the same transaction. A deleted product keeps its row and its id."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from catalog.domain.product import ProductState, changed_payload, deleted_payload
from kompensa_participant import OutboxEvent, Problem, Versions, page_of, publish, version_mismatch

Connection = AsyncConnection[Any]
Row = dict[str, Any]

_AT_VERSION = "id = %(id)s AND deleted_at IS NULL AND (%(versions)s::bigint[] IS NULL OR version = ANY(%(versions)s))"
_INSERT = """
INSERT INTO products (id, name, description, price, currency, status)
VALUES (%(id)s, %(name)s, %(description)s, %(price)s, %(currency)s, %(status)s)
ON CONFLICT (id) DO NOTHING
RETURNING *
"""
_UPDATE = f"""
UPDATE products
   SET name = %(name)s, description = %(description)s, price = %(price)s, currency = %(currency)s,
       status = %(status)s, version = version + 1, updated_at = now()
 WHERE {_AT_VERSION}
RETURNING *
"""
_WITHDRAW = f"""
UPDATE products SET status = 'withdrawn', version = version + 1, updated_at = now()
 WHERE {_AT_VERSION} AND status <> 'withdrawn'
RETURNING *
"""
_DELETE = f"""
UPDATE products SET version = version + 1, updated_at = now(), deleted_at = now() WHERE {_AT_VERSION} RETURNING *
"""


async def create(connection: Connection, state: ProductState) -> Row:
    """Add a product, at version 1."""
    row = await _one(connection, _INSERT, {"id": uuid4(), **_values(state)})
    assert row is not None
    await _publish_change(connection, "product-created", row)
    return row


async def replace(connection: Connection, product_id: UUID, state: ProductState, versions: Versions) -> Row:
    """Write the new state, one version on. The version is assigned under the lock that the UPDATE takes on the row.

    Raises
    ------
    Problem
        404, 410 if the product was deleted, 412 if it is at another version.
    """
    row = await _one(connection, _UPDATE, {"id": product_id, "versions": versions, **_values(state)})
    if row is None:
        raise await _not_matched(connection, product_id)
    await _publish_change(connection, "product-updated", row)
    return row


async def put(connection: Connection, product_id: UUID, state: ProductState) -> Row:
    """Write the new state, or add the product under this id. `version` is 1 if it was added.

    Raises
    ------
    Problem
        410 if the product was deleted: its id is not used again.
    """
    row = await _one(connection, _INSERT, {"id": product_id, **_values(state)})
    if row is None:
        return await replace(connection, product_id, state, versions=None)
    await _publish_change(connection, "product-created", row)
    return row


async def withdraw(connection: Connection, product_id: UUID, versions: Versions) -> Row:
    """Take a product off sale. If it is withdrawn already, nothing changes and no event is written.

    Raises
    ------
    Problem
        404, 410 if the product was deleted, 412 if it is at another version.
    """
    row = await _one(connection, _WITHDRAW, {"id": product_id, "versions": versions})
    if row is None:
        found = await find(connection, product_id)
        if found["status"] != "withdrawn" or not (versions is None or found["version"] in versions):
            raise await _not_matched(connection, product_id)
        return found
    await _publish_change(connection, "product-updated", row)
    return row


async def delete(connection: Connection, product_id: UUID, versions: Versions) -> None:
    """Delete a product. Orders and invoices have copied its name and price, so they stay readable.

    Raises
    ------
    Problem
        404, 410 if the product was deleted before, 412 if it is at another version.
    """
    row = await _one(connection, _DELETE, {"id": product_id, "versions": versions})
    if row is None:
        raise await _not_matched(connection, product_id)
    await _publish(connection, "product-deleted", row, deleted_payload(product_id, deleted_at=row["deleted_at"]))


async def find(connection: Connection, product_id: UUID) -> Row:
    """Return one product.

    Raises
    ------
    Problem
        404 if there never was one, 410 if it was deleted.
    """
    row = await _one(connection, "SELECT * FROM products WHERE id = %(id)s", {"id": product_id})
    if row is None:
        raise Problem(404, "unknown-product", f"product {product_id} does not exist")
    if row["deleted_at"] is not None:
        raise Problem(410, "product-deleted", f"product {product_id} was deleted, and its id is not used again")
    return row


async def page(connection: Connection, *, limit: int, after: UUID | None) -> list[Row]:
    """Products in the order of their ids, from after the given one; without those that were deleted."""
    return await page_of(connection, "products", limit=limit, after=after)


async def _not_matched(connection: Connection, product_id: UUID) -> Problem:
    """Why a change found no row. Raises Problem (404 or 410) if there is no such product."""
    version = (await find(connection, product_id))["version"]
    return version_mismatch(f"product {product_id}", version)


def _values(state: ProductState) -> Row:
    return {
        "name": state.name,
        "description": state.description,
        "price": state.price,
        "currency": state.currency,
        "status": state.status,
    }


async def _one(connection: Connection, statement: LiteralString, values: Row) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchone()


async def _publish_change(connection: Connection, event_type: str, row: Row) -> None:
    state = ProductState(
        name=row["name"],
        description=row["description"],
        price=row["price"],
        currency=row["currency"],
        status=row["status"],
    )
    payload = changed_payload(row["id"], state, created_at=row["created_at"], updated_at=row["updated_at"])
    await _publish(connection, event_type, row, payload)


async def _publish(connection: Connection, event_type: str, row: Row, payload: Row) -> None:
    event = OutboxEvent(
        aggregate_type="product",
        aggregate_id=row["id"],
        aggregate_version=row["version"],
        event_type=event_type,
        payload=payload,
    )
    await publish(connection, event)
