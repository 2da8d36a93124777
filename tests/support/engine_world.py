"""Engines on a journal in memory and a scripted transport: a whole life of them in one event loop.

async with EngineWorld() as world:
    await world.declare("reserve", "pay")
    saga = await world.start()
    await world.until_phase(saga, "Succeeded")
    assert world.transport.calls == ["action reserve", "action pay"]
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import msgspec

from kompensa.engine.engine import Engine
from kompensa.engine.settings import Settings
from kompensa.engine.start import StartRequest
from kompensa.engine.status_publisher import NullStatusPublisher, StatusPublisher
from kompensa.engine.tenure import Tenure
from kompensa.journal.errors import JournalUnavailableError, StaleLeaseError
from kompensa.model.view import SagaView
from kompensa.transport.traces import TracedTransport, saga_span
from kompensa_common.tracing import Spans
from tests.support.journal_link import JournalLink
from tests.support.memory_journal import MemoryJournal
from tests.support.scripted_transport import ScriptedTransport
from tests.support.virtual_time import wall_clock
from tests.support.waiting import until

NAMESPACE = "shop"
QUICKLY = {"initialInterval": "100ms", "backoffCoefficient": 1, "maximumInterval": "1s", "maximumAttempts": 3}


def definition_spec(*steps: str, **spec: Any) -> dict[str, Any]:
    """Steps that POST to /<step> and are undone by POST /<step>/undo; one that ends in `!` is Retriable."""
    return {
        "retryPolicy": QUICKLY,
        "compensation": {"retryPolicy": QUICKLY},
        "steps": [_step_spec(step.rstrip("!"), retriable=step.endswith("!")) for step in steps],
        **spec,
    }


def _step_spec(name: str, *, retriable: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "name": name,
        "kind": "Retriable" if retriable else "Compensatable",
        "participantRef": {"name": "stub"},
        "action": {"http": {"path": f"/{name}", "body": {"sagaId": "${saga.id}"}}},
    }
    if not retriable:
        spec["compensation"] = {"http": {"path": f"/{name}/undo", "body": {"sagaId": "${saga.id}"}}}
    return spec


def crash(engine: Engine) -> None:
    """End an engine as SIGKILL would: nothing is written, given back or notified."""
    for task in engine._tasks:
        task.cancel()
    if engine.tenure is not None:
        engine.tenure.end(StaleLeaseError("killed"))
        writing = engine.tenure._commits._task
        if writing is not None:
            writing.cancel()


def tenure_of(engine: Engine) -> Tenure:
    """The tenure of an engine that must have one."""
    assert engine.tenure is not None, engine.trouble
    return engine.tenure


class EngineWorld:
    """Engines that share a journal and participants, each with its own link to the journal.

    `settings` are those of all its engines; so is `publisher`, but for an engine that is given its own. With `spans`,
    the engines record spans as a process does that sends them.
    """

    def __init__(
        self, *, publisher: StatusPublisher | None = None, spans: Spans | None = None, **settings: Any
    ) -> None:
        self._settings = settings
        self.spans = spans
        self.journal = MemoryJournal(wall_clock)
        self.transport = ScriptedTransport()
        self._publisher = publisher or NullStatusPublisher()
        self.engines: list[Engine] = []
        self.links: dict[Engine, JournalLink] = {}

    async def __aenter__(self) -> Self:
        await self.engine()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(engine.stop() for engine in self.engines))

    @property
    def first(self) -> Engine:
        return self.engines[0]

    def new_engine(self, name: str = "one", *, publisher: StatusPublisher | None = None, **settings: Any) -> Engine:
        """An engine that has not been started."""
        link = JournalLink(self.journal)
        chosen = Settings(journal_url="postgresql://nowhere", engine_name=name, **{**self._settings, **settings})
        shown_on = publisher or self._publisher
        spans = self.spans
        engine = Engine(
            journal=link,
            transport=self.transport if spans is None else TracedTransport(self.transport, spans),
            publisher=shown_on,
            settings=chosen,
            clock=wall_clock,
            on_end=None if spans is None else lambda saga: spans.record(saga_span(saga)),
        )
        self.engines.append(engine)
        self.links[engine] = link
        return engine

    async def engine(self, name: str = "one", *, publisher: StatusPublisher | None = None, **settings: Any) -> Engine:
        """An engine that takes sagas."""
        engine = self.new_engine(name, publisher=publisher, **settings)
        await engine.start()
        await until(lambda: engine.trouble in (None, "owns no shard yet"), "the engine to have joined")
        return engine

    async def crash_first(self) -> None:
        """Kill the first engine; what it had under way is never heard of again."""
        crash(self.engines.pop(0))
        await asyncio.sleep(0)

    @contextmanager
    def journal_away(self, *engines: Engine) -> Iterator[None]:
        """While the journal does not answer these engines, or any."""
        links = [self.links[engine] for engine in engines or self.engines]
        for link in links:
            link.fail_with = JournalUnavailableError("the journal is away")
        yield
        for link in links:
            link.fail_with = None

    async def declare(self, *steps: str, keyed: bool = True, name: str = "order", **spec: Any) -> str:
        """Declare the participant and a definition; return its revision."""
        await self.declare_participant(idempotency="Keyed" if keyed else "None")
        return await self.first.declarations.put_definition(NAMESPACE, name, definition_spec(*steps, **spec))

    async def declare_participant(self, name: str = "stub", **spec: Any) -> None:
        given = {"url": "http://stub", "idempotency": "Keyed", "timeout": "2s", **spec}
        await self.first.declarations.put_participant(NAMESPACE, name, given, None)

    async def start(self, definition: str = "order", *, engine: Engine | None = None, **request: Any) -> str:
        """Start a saga and return its id."""
        wanted = StartRequest(definition=definition, **request)
        saga_id, _ = await (engine or self.first).sagas.start(NAMESPACE, wanted)
        return saga_id

    async def view(self, saga_id: str) -> SagaView:
        return await self.first.sagas.view(saga_id)

    async def until_phase(self, saga_id: str, phase: str, *, seconds: float = 60.0) -> SagaView:
        """Until the journal says so, whichever engine runs the saga."""
        await until(lambda: self.durable_phase(saga_id) == phase, f"the saga to be {phase}", seconds=seconds)
        return await self.view(saga_id)

    def durable_phase(self, saga_id: str) -> str | None:
        """The phase in the journal, read without a turn of the loop."""
        row = self.journal.sagas._rows.get(saga_id)
        return None if row is None else row.phase

    async def until_called(self, call: str, times: int = 1) -> None:
        def called() -> bool:
            return self.transport.calls.count(call) >= times

        await until(called, f"{call} to be called {times} times", seconds=60.0)

    async def until_noted(self, saga_id: str, kind: str, *, seconds: float = 60.0) -> None:
        """Until the saga's log has such an entry: what was asked of it has reached it."""

        def noted() -> bool:
            return any(f'"kind":"{kind}"' in row.entries for row in self.journal.sagas._logs[saga_id])

        await until(noted, f"the history to say {kind}", seconds=seconds)

    def spoil(self, saga_id: str) -> None:
        """Make a saga's row one that this version cannot read."""
        rows = self.journal.sagas._rows
        rows[saga_id] = msgspec.structs.replace(rows[saga_id], state='{"saga":{"phase":"Unheard"}}')

    async def history(self, saga_id: str) -> list[str]:
        """The kinds of all entries of the saga's log."""
        rows = await self.journal.sagas.log(saga_id)
        return [entry["kind"] for row in rows for entry in msgspec.json.decode(row.entries)]
