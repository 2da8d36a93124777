"""Customers, and the event of each change in the same transaction."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from kompensa_participant import OutboxEvent, Problem, Versions, page_of, publish, version_mismatch
from orders.domain.customer import CustomerState, changed_payload, deleted_payload, payment_methods_payload

Connection = AsyncConnection[Any]
Row = dict[str, Any]

_INSERT = """
INSERT INTO customers (id, email, document, full_name, phone, shipping_address, billing_address, payment_methods)
VALUES (%(id)s, %(email)s, %(document)s, %(full_name)s, %(phone)s, %(shipping_address)s, %(billing_address)s,
        %(payment_methods)s)
RETURNING *
"""
_UPDATE = """
UPDATE customers
   SET email = %(email)s, document = %(document)s, full_name = %(full_name)s, phone = %(phone)s,
       shipping_address = %(shipping_address)s, billing_address = %(billing_address)s,
       payment_methods = %(payment_methods)s, version = version + 1, updated_at = now()
 WHERE id = %(id)s AND deleted_at IS NULL AND (%(versions)s::bigint[] IS NULL OR version = ANY(%(versions)s))
RETURNING *
"""
_DELETE = """
UPDATE customers
   SET email = 'deleted-' || id, document = '', full_name = '', phone = NULL, shipping_address = '{}',
       billing_address = '{}', payment_methods = '[]', version = version + 1, updated_at = now(), deleted_at = now()
 WHERE id = %(id)s AND deleted_at IS NULL AND (%(versions)s::bigint[] IS NULL OR version = ANY(%(versions)s))
RETURNING *
"""


async def create(connection: Connection, state: CustomerState) -> Row:
    """A new customer, at version 1. Raises Problem (409) where the e-mail address is another's."""
    row = await _written(connection, _INSERT, state, {"id": uuid4()})
    assert row is not None
    await _publish_state(connection, "customer-created", row, state)
    return row


async def update(connection: Connection, customer_id: UUID, state: CustomerState, versions: Versions) -> Row:
    """The new state, one version on. The version is assigned under the lock that the UPDATE takes on the row.

    Raises Problem: 404, 409 where the e-mail address is another's, 412 where the customer is at another version.
    """
    row = await _written(connection, _UPDATE, state, {"id": customer_id, "versions": versions})
    if row is None:
        raise await _not_matched(connection, customer_id)
    await _publish_state(connection, "customer-updated", row, state)
    return row


async def delete(connection: Connection, customer_id: UUID, versions: Versions) -> None:
    """Soft delete: orders keep pointing at the row, its personal fields are blanked, and an event informs the copies.

    Raises
    ------
    Problem
        404, 412 if the customer is at another version.
    """
    row = await _one(connection, _DELETE, {"id": customer_id, "versions": versions})
    if row is None:
        raise await _not_matched(connection, customer_id)
    payload = deleted_payload(customer_id, deleted_at=row["deleted_at"])
    await _publish(connection, "customer", "customer-deleted", row, payload)


async def find(connection: Connection, customer_id: UUID) -> Row:
    """One customer. Raises Problem (404)."""
    row = await _one(
        connection, "SELECT * FROM customers WHERE id = %(id)s AND deleted_at IS NULL", {"id": customer_id}
    )
    if row is None:
        raise Problem(404, "unknown-customer", f"customer {customer_id} does not exist")
    return row


async def keep(connection: Connection, customer_id: UUID) -> bool:
    """Whether there is such a customer, and that there will be until the transaction ends."""
    cursor = await connection.execute(
        "SELECT 1 FROM customers WHERE id = %s AND deleted_at IS NULL FOR SHARE", (customer_id,)
    )
    return await cursor.fetchone() is not None


async def page(connection: Connection, *, limit: int, after: UUID | None) -> list[Row]:
    """Customers in the order of their ids, from after the given one; without those that were deleted."""
    return await page_of(connection, "customers", limit=limit, after=after)


async def _not_matched(connection: Connection, customer_id: UUID) -> Problem:
    """Why a change found no row. Raises Problem (404) where there is no such customer."""
    version = (await find(connection, customer_id))["version"]
    return version_mismatch(f"customer {customer_id}", version)


async def _written(connection: Connection, statement: LiteralString, state: CustomerState, which: Row) -> Row | None:
    values = {
        **which,
        "email": state.email,
        "document": state.document,
        "full_name": state.full_name,
        "phone": state.phone,
        "shipping_address": Jsonb(dict(state.shipping_address)),
        "billing_address": Jsonb(dict(state.billing_address)),
        "payment_methods": Jsonb([dict(method) for method in state.payment_methods]),
    }
    try:
        return await _one(connection, statement, values)
    except UniqueViolation as error:
        raise Problem(409, "email-taken", f"another customer has the e-mail address {state.email}") from error


async def _one(connection: Connection, statement: LiteralString, values: Row) -> Row | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchone()


async def _publish_state(connection: Connection, event_type: str, row: Row, state: CustomerState) -> None:
    """The customer, and in an event of its own what only payments may know. Both have the customer's version."""
    changed = changed_payload(row["id"], state, created_at=row["created_at"], updated_at=row["updated_at"])
    await _publish(connection, "customer", event_type, row, changed)
    methods = payment_methods_payload(row["id"], state, updated_at=row["updated_at"])
    await _publish(connection, "customer-payment-methods", "payment-methods-changed", row, methods)


async def _publish(connection: Connection, aggregate_type: str, event_type: str, row: Row, payload: Row) -> None:
    event = OutboxEvent(
        aggregate_type=aggregate_type,
        aggregate_id=row["id"],
        aggregate_version=row["version"],
        event_type=event_type,
        payload=payload,
    )
    await publish(connection, event)
