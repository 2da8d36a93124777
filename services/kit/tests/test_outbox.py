"""An event that would not be published is refused before anything is written."""

from typing import Any, cast
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from kompensa_cdc.capture.outbox import MAX_EVENT_BYTES as CAPTURED_BYTES
from kompensa_participant import OutboxEvent, Refused, publish
from kompensa_participant.outbox import MAX_EVENT_BYTES

AGGREGATE = UUID("c0000000-0000-4000-8000-000000000001")
AROUND = len('{"note": ""}')


class Recording:
    """Keeps what is executed."""

    def __init__(self) -> None:
        self.written: list[tuple[Any, ...]] = []

    async def execute(self, query: str, values: tuple[Any, ...]) -> None:
        self.written.append(values)


def event(note: str) -> OutboxEvent:
    return OutboxEvent(
        aggregate_type="customer",
        aggregate_id=AGGREGATE,
        aggregate_version=1,
        event_type="customer-created",
        payload={"note": note},
    )


async def publish_into(recording: Recording, note: str, **limit: int) -> None:
    await publish(cast("AsyncConnection[Any]", recording), event(note), **limit)


def test_the_limit_is_that_of_an_outbox() -> None:
    assert MAX_EVENT_BYTES == CAPTURED_BYTES


async def test_an_event_at_the_limit_is_written() -> None:
    recording = Recording()
    await publish_into(recording, "x" * (MAX_EVENT_BYTES - AROUND))
    assert len(recording.written) == 1


async def test_a_larger_event_is_refused_by_name_and_nothing_is_written() -> None:
    recording = Recording()
    with pytest.raises(Refused, match=str(AGGREGATE)) as refused:
        await publish_into(recording, "x" * (MAX_EVENT_BYTES - AROUND + 1))
    assert (refused.value.status, refused.value.slug) == (422, "event-too-large")
    assert recording.written == []


async def test_size_is_counted_in_bytes_as_postgresql_stores_them() -> None:
    recording = Recording()
    with pytest.raises(Refused):
        await publish_into(recording, "ã" * 10, max_bytes=AROUND + 19)
    await publish_into(recording, "ã" * 10, max_bytes=AROUND + 20)
    assert len(recording.written) == 1
