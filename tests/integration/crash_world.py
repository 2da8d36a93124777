"""One saga, an engine that dies at the n-th boundary, and its successor on the same real database.

`crashes` enumerates n until no boundary is left, and judges each life by the participant's ledger and by the journal's
log, against the invariants I3, I4, I5, I6 and I7.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec

from kompensa.engine.engine import Engine
from kompensa.engine.errors import UnknownSagaError
from kompensa.engine.settings import Settings
from kompensa.engine.start import StartRequest
from kompensa.engine.status_publisher import NullStatusPublisher
from kompensa.journal.port import Journal
from kompensa.journal.postgres import PostgresJournal
from kompensa.model.requests import Request
from kompensa.transport.http import HttpTransport
from tests.integration.ledger_participant import LedgerParticipant
from tests.support.engine_world import NAMESPACE, crash
from tests.support.mortal import Fuse, MortalTransport, mortal_journal
from tests.support.waiting import until

QUICKLY = {"initialInterval": "20ms", "backoffCoefficient": 1, "maximumInterval": "20ms", "maximumAttempts": 2}
PATIENTLY = QUICKLY | {"maximumAttempts": 50}
STEPS = ("reserve", "pay", "ship")
END_OF_ALL_BOUNDARIES = 200


@dataclass
class Crashes:
    """The result of the enumeration."""

    boundaries: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


@dataclass
class _Life:
    """One engine process, as long as it lives."""

    engine: Engine
    journal: Journal
    fuse: Fuse


@dataclass(kw_only=True)
class CrashWorld:
    """How the saga goes: a step that is `refused`, one that is `down` until the crash, one whose reply is lost."""

    journal_url: str
    ledger: LedgerParticipant
    keyed: bool = True
    retriable: bool = False
    side_by_side: bool = False
    refused: str = ""
    down: str = ""
    lost: str = ""
    changed: Callable[[Request], Request] = lambda request: request

    async def crashes(self) -> Crashes:
        """Die at each boundary in turn; each life begins with ending what the one before left."""
        found = Crashes()
        left: tuple[str, bool] | None = None
        for boundary in range(1, END_OF_ALL_BOUNDARIES):
            async with self._life() as life:
                if left is not None:
                    await self._end(life, *left, found)
                saga_id, died = str(uuid4()), False
                starting = await self._begin(life, saga_id, boundary)
                died = await _died_before_the_end(life, saga_id)
                left = saga_id, starting.done()
                starting.cancel()
                found.boundaries = list(life.fuse.passed)
                if not died:
                    await self._end(life, *left, found)
                    return found
        raise AssertionError(f"a saga of more than {END_OF_ALL_BOUNDARIES} boundaries")

    async def _begin(self, life: _Life, saga_id: str, boundary: int) -> asyncio.Task[None]:
        if self.down:
            self.ledger.switch(self.down, down=True)
        life.fuse.arm(boundary)
        return asyncio.create_task(self._start(life.engine, saga_id))

    async def _end(self, life: _Life, saga_id: str, acknowledged: bool, found: Crashes) -> None:
        """Make the saga end, even if the dead engine started it, and judge it."""
        if self.down:
            self.ledger.switch(self.down, down=False)
        problems = []
        if await life.journal.sagas.find(saga_id) is None:
            if acknowledged:
                problems.append("I7: an acknowledged saga is gone")
            if self.ledger.effects(saga_id).done:
                problems.append("I3: effects of a saga that is absent")
            await self._start(life.engine, saga_id)
        phase = await _ended(life.engine, saga_id)
        problems += self.ledger.effects(saga_id).violations(phase, STEPS, in_order=not self.side_by_side)
        problems += _log_violations([row.entries for row in await life.journal.sagas.log(saga_id)])
        found.ends.append(phase)
        found.violations += [f"{found.boundaries[-1:]}: {problem}" for problem in problems]

    @asynccontextmanager
    async def _life(self) -> AsyncIterator[_Life]:
        """An engine of its own, killed in the end."""
        fuse = Fuse()
        journal = PostgresJournal(self.journal_url)
        transport = MortalTransport(HttpTransport(), fuse)
        transport.changed = self.changed
        settings = Settings(journal_url=self.journal_url, engine_name="one", lease_ttl=30.0)
        engine = Engine(
            journal=mortal_journal(journal, fuse),
            transport=transport,
            publisher=NullStatusPublisher(),
            settings=settings,
        )
        await engine.start()
        await until(lambda: engine.trouble is None, "the engine to be ready")
        participant = {"url": self.ledger.url, "idempotency": "Keyed" if self.keyed else "None", "timeout": "5s"}
        await engine.declarations.put_participant(NAMESPACE, "ledger", participant, None)
        await engine.declarations.put_definition(NAMESPACE, "order", self._definition())
        yield _Life(engine, journal, fuse)
        crash(engine)
        await transport.close()
        await journal.close()

    async def _start(self, engine: Engine, saga_id: str) -> None:
        await engine.sagas.start(NAMESPACE, StartRequest(definition="order", id=saga_id))

    def _definition(self) -> dict[str, Any]:
        return {
            "retryPolicy": QUICKLY,
            "compensation": {"retryPolicy": PATIENTLY},
            "steps": [self._step(name) for name in STEPS],
        }

    def _step(self, name: str) -> dict[str, Any]:
        action: dict[str, Any] = {"path": f"/{name}", "body": {"sagaId": "${saga.id}", "refused": self.refused}}
        if name == self.lost:
            action["headers"] = {"Kompensa-Fault": "fail-after-commit; attempts=1"}
        spec: dict[str, Any] = {"name": name, "participantRef": {"name": "ledger"}, "action": {"http": action}}
        if self.side_by_side:
            spec["dependsOn"] = []
        if self.retriable and name == STEPS[-1]:
            return spec | {"kind": "Retriable", "retryPolicy": PATIENTLY}
        return spec | {"compensation": {"http": {"path": f"/{name}/undo", "body": {"sagaId": "${saga.id}"}}}}


async def _died_before_the_end(life: _Life, saga_id: str) -> bool:
    death = asyncio.create_task(life.fuse.dead.wait())
    end = asyncio.create_task(_ended(life.engine, saga_id))
    await asyncio.wait([death, end], return_when=asyncio.FIRST_COMPLETED, timeout=60)
    died = death.done()
    for task in (death, end):
        task.cancel()
    await asyncio.gather(death, end, return_exceptions=True)
    return died


async def _ended(engine: Engine, saga_id: str) -> str:
    """The phase at rest, from this engine's memory or the journal."""
    async with asyncio.timeout(60):
        while True:
            try:
                view = await engine.sagas.rested(saga_id, 30.0)
            except UnknownSagaError:
                await asyncio.sleep(0.005)
                continue
            if view.phase in ("Succeeded", "Compensated", "InterventionRequired"):
                return view.phase
            await asyncio.sleep(0.005)


def _log_violations(writes: list[str]) -> list[str]:
    """I4: one end, at the end."""
    kinds = [entry["kind"] for entries in writes for entry in msgspec.json.decode(entries)]
    ends = [kind for kind in kinds if kind in ("SagaSucceeded", "SagaCompensated")]
    return [] if len(ends) == 1 and kinds[-1] == ends[0] else [f"I4: the history ends with {kinds[-5:]}"]
