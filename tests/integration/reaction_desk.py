"""Reactions without Kafka: records go straight to the writer, and retries are asked for. And the reactor's tables."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from kompensa_consumer import Advance, Batch, Claim, OffsetTable
from kompensa_consumer.database import connect
from kompensa_dev.postgres import Login
from kompensa_participant.migrations import migrate
from kompensa_participant.reactions import Reactions, inbox
from kompensa_participant.reactions.arrival import arrival_of
from kompensa_participant.reactions.handling import EventWriter, Outcome, retry_next

PARTICIPANTS = Path(__file__).with_name("participants")
ORDERED, SECOND, UNORDERED = "reactor.ordered", "reactor.second", "reactor.unordered"
SAGA = "0b8a3c5e-0000-4000-8000-000000000001"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(frozen=True, kw_only=True)
class Note:
    """One event to react to."""

    key: str
    number: int = 1
    topic: str = ORDERED
    id: UUID = field(default_factory=uuid4)
    value: bytes | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    offset: int = 0

    def record_headers(self) -> list[tuple[str, str | bytes | None]]:
        usual: dict[str, str | bytes | None] = {
            "id": str(self.id).encode(),
            "event-type": b"noted",
            "event-version": b"1.0",
            "aggregate-version": str(self.number).encode(),
            "occurred-at": b"2026-01-31T12:00:00Z",
            "saga-id": SAGA.encode(),
            "traceparent": TRACE.encode(),
        }
        return [(name, value) for name, value in {**usual, **self.headers}.items() if value is not None]

    @property
    def body(self) -> bytes:
        return self.value if self.value is not None else json.dumps({"number": self.number}).encode()


@dataclass(frozen=True)
class NoteRecord:
    """The note as a record of a topic."""

    note: Note

    def topic(self) -> str:
        return self.note.topic

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.note.offset

    def key(self) -> bytes:
        return self.note.key.encode()

    def value(self) -> bytes:
        return self.note.body

    def headers(self) -> list[tuple[str, str | bytes | None]]:
        return self.note.record_headers()

    def timestamp(self) -> tuple[int, int]:
        return (1, 0)


@dataclass
class Desk:
    """The reactor's writer, with a connection and a claim on each topic."""

    connection: AsyncConnection[Any]
    reactions: Reactions
    login: Login
    writer: EventWriter
    claims: dict[str, Claim] = field(default_factory=dict)

    async def claim(self, topic: str) -> Claim:
        claimed = await self.writer.offsets.claim(self.connection, [(topic, 0)])
        self.claims[topic] = claimed[topic, 0]
        return self.claims[topic]

    async def receive(self, *notes: Note) -> list[str]:
        """Handle the events one after the other; return their results."""
        results: list[str] = []
        for note in notes:
            claim = self.claims.get(note.topic) or await self.claim(note.topic)
            (outcome,) = await self.writer.write(self.connection, self.batch(note, claim))
            self.claims[note.topic] = replace(claim, next_offset=claim.next_offset + 1)
            results.append(outcome.result)
        return results

    def batch(self, note: Note, claim: Claim) -> Batch[Any]:
        placed = replace(note, offset=claim.next_offset)
        move = Advance(
            topic=note.topic,
            partition=0,
            start=claim.next_offset,
            next_offset=claim.next_offset + 1,
            epoch=claim.epoch,
            records=1,
        )
        return Batch((arrival_of(NoteRecord(placed), self.reactions),), (move,))

    async def retry_due(self) -> list[str]:
        """Make every retry due, and try all that may be tried; return the results in order."""
        return [outcome.result async for outcome in self._retried()]

    async def retry_due_now(self) -> list[str]:
        """Try all that may be tried at this moment."""
        results: list[str] = []
        while outcome := await retry_next(self.connection, self.reactions):
            results.append(outcome.result)
        return results

    async def _retried(self) -> AsyncIterator[Outcome]:
        while True:
            await self.connection.execute("UPDATE inbox SET next_attempt_at = now() WHERE state = 'Retrying'")
            outcome = await retry_next(self.connection, self.reactions)
            if outcome is None:
                return
            yield outcome

    async def plant(self, key: str, kind: str) -> None:
        await self.connection.execute("INSERT INTO faults VALUES (%s, %s)", (key, kind))

    async def repair(self) -> None:
        await self.connection.execute("DELETE FROM faults")

    async def retry(self, note: Note) -> int:
        return await inbox.retry(self.connection, note.id)

    def effects(self) -> list[tuple[str, int]]:
        """Key and number of each effect, in the order of their commits."""
        return [(row["key"], row["number"]) for row in rows(self.login, "SELECT * FROM effects ORDER BY position")]

    def states(self) -> dict[tuple[str, int], str]:
        """The state of each event, by key and offset."""
        found = rows(self.login, "SELECT * FROM inbox ORDER BY position")
        return {(row["key"], row["record_offset"]): row["state"] for row in found}

    def row(self, event_id: UUID) -> dict[str, Any]:
        return next(row for row in rows(self.login, "SELECT * FROM inbox") if row["event_id"] == event_id)


@asynccontextmanager
async def desk(login: Login) -> AsyncIterator[Desk]:
    """The reactor at a fresh database."""
    prepare(login)
    offsets = OffsetTable(schema="reactor", table="reaction_offsets", column="consumer", consumer="reactor")
    async with await connect(login.url, search_path="reactor") as connection:
        yield Desk(connection, reactor().reactions, login, EventWriter(offsets))


def reactor() -> Any:
    """The reactor's module, imported."""
    if str(PARTICIPANTS) not in sys.path:
        sys.path.insert(0, str(PARTICIPANTS))
    return importlib.import_module("reactor.service")


def prepare(login: Login) -> None:
    reactor()
    migrate("reactor", url=login.url, schema="reactor")


def rows(login: Login, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(login.url, row_factory=dict_row, options="-c search_path=reactor") as connection:
        return connection.execute(query.encode()).fetchall()


def numbers(effects: Iterable[tuple[str, int]], key: str) -> list[int]:
    """The numbers of one key's effects, in order."""
    return [number for owner, number in effects if owner == key]
