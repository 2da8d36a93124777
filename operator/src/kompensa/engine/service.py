"""Requests about sagas: start, show, list, control.

Answers come from memory for our own sagas, and from the journal for those of other engines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from kompensa.engine.declarations import Declarations
from kompensa.engine.errors import (
    IdempotencyKeyReusedError,
    IdReusedError,
    NotReadyError,
    OverloadedError,
    PageGoneError,
    SagaEndedError,
    UnknownSagaError,
)
from kompensa.engine.metrics import started
from kompensa.engine.running_saga import RunningSaga, resting
from kompensa.engine.saga_rows import stored_origin, stored_saga
from kompensa.engine.start import StartRequest, born
from kompensa.engine.tenure import Tenure
from kompensa.journal.errors import JournalError, StaleLeaseError
from kompensa.journal.port import Journal
from kompensa.journal.records import LogRow, SagaFilter, SagaRow, SignalKind
from kompensa.model.commands import Command
from kompensa.model.specs import DeletionPolicy
from kompensa.model.view import SagaView, timestamp, view

_log = structlog.get_logger(__name__)

# If the journal does not answer for this long, the caller gets an error. The engine keeps trying to write.
ACCEPTANCE_TIMEOUT_SECONDS = 10.0


class Owner(Protocol):
    """The engine, as far as the service needs it."""

    @property
    def tenure(self) -> Tenure | None: ...

    def ready(self) -> Tenure:
        """The present tenure.

        Raises
        ------
        NotReadyError
            The engine cannot take sagas now.
        """
        ...


class SagaService:
    """Sagas as the API offers them."""

    def __init__(
        self,
        owner: Owner,
        journal: Journal,
        declarations: Declarations,
        *,
        max_in_flight: int,
        max_input_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        self._owner = owner
        self._journal = journal
        self._declarations = declarations
        self._max_in_flight = max_in_flight
        self._max_input_bytes = max_input_bytes
        self._clock = clock
        self._starting: dict[str, asyncio.Task[bool]] = {}

    async def start(self, namespace: str, request: StartRequest) -> tuple[str, bool]:
        """Start a saga.

        Returns
        -------
        tuple[str, bool]
            The saga's id, and whether it is new. For an id or a key that was given before, the older saga's id and
            False.

        Raises
        ------
        UnknownDefinitionError, InputInvalidError, IdReusedError, IdempotencyKeyReusedError
            The request cannot be fulfilled as it is.
        OverloadedError, NotReadyError
            The engine cannot take it now.
        RejectedError
            PostgreSQL cannot store what it contains.
        """
        tenure = self._owner.ready()
        definition = await self._declarations.found(namespace, request.definition)
        wanted = request.id or (request.object.uid if request.object else "")
        while wanted in self._starting:  # the answer to the first request is the answer to both
            await self._answer(self._starting[wanted])
        known = self._running(wanted)
        if known is not None:
            saga = known.saga
            _check_same(namespace, request, saga.id, saga.namespace, saga.definition, known.origin.input)
            return saga.id, False
        if tenure.sagas.busy >= self._max_in_flight:
            raise OverloadedError(
                f"{tenure.sagas.busy} sagas are in flight, as many as this engine takes; ask again soon"
            )
        running, commands = born(request, definition, shard=tenure.held.open_shard(), now=self._clock())
        if len(tenure.sagas) and tenure.sagas.weight + running.weight > self._max_input_bytes:
            raise OverloadedError(
                f"the inputs in flight have {tenure.sagas.weight} bytes; with this one they would be more than the "
                f"{self._max_input_bytes} that this engine takes; ask again soon"
            )
        if await self._accepted(tenure, running, commands):
            started(namespace, request.definition).inc()
            return running.saga.id, True
        return await self._existing(namespace, running, request), False

    async def _accepted(self, tenure: Tenure, running: RunningSaga, commands: tuple[Command, ...]) -> bool:
        # A task of its own: the caller may give up waiting, but a saga that the journal has must run.
        saga_id = running.saga.id
        task = self._starting[saga_id] = asyncio.create_task(tenure.accept(running, commands))
        task.add_done_callback(lambda ended: self._accepted_or_not(saga_id, ended))
        return await self._answer(task)

    def _accepted_or_not(self, saga_id: str, task: asyncio.Task[bool]) -> None:
        """Log an error: the caller may be gone."""
        self._starting.pop(saga_id)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, JournalError):
            _log.error("a saga was not accepted", saga=saga_id, exc_info=error)

    async def _answer(self, task: asyncio.Task[bool]) -> bool:
        done, _ = await asyncio.wait([task], timeout=ACCEPTANCE_TIMEOUT_SECONDS)
        if not done:
            raise NotReadyError(
                f"the journal did not answer within {ACCEPTANCE_TIMEOUT_SECONDS:g} s; the saga may start yet, "
                "so ask again with the same id or idempotency key"
            )
        try:
            return task.result()
        except StaleLeaseError as error:
            raise NotReadyError("this engine has just lost its shards; ask again") from error

    async def _existing(self, namespace: str, refused: RunningSaga, request: StartRequest) -> str:
        row = await self._journal.sagas.find(refused.saga.id)
        if row is not None:
            _check_same(namespace, request, row.id, row.namespace, row.definition, stored_origin(row).input)
            return row.id
        key = request.idempotency_key
        row = await self._journal.sagas.find_by_key(namespace, request.definition, key) if key else None
        if row is None:
            raise NotReadyError("the saga that was there a moment ago is gone; ask again")
        if stored_origin(row).input != request.input:
            raise IdempotencyKeyReusedError(
                f"idempotencyKey {key!r} of definition {request.definition} belongs to saga {row.id}, "
                "which has another input; use a new key for a new operation"
            )
        return row.id

    async def rested(self, saga_id: str, timeout: float) -> SagaView:
        """Wait until the saga has ended or is parked, for at most `timeout` seconds, and return its view.

        A saga that another engine runs is not waited for.

        Raises
        ------
        UnknownSagaError
            There is no saga with that id.
        """
        running = self._running(saga_id)
        if running is None or resting(running.shown):
            return await self.view(saga_id)
        await running.wait_for_rest(timeout)
        return running.view()

    async def view(self, saga_id: str) -> SagaView:
        """The saga's present view.

        Raises
        ------
        UnknownSagaError
            There is no saga with that id.
        """
        running = self._running(saga_id)
        return running.view() if running is not None else await self._view(await self._row(saga_id))

    async def page(self, wanted: SagaFilter) -> list[SagaView]:
        """Sagas, newest first.

        Raises
        ------
        PageGoneError
            The saga that the page should follow is gone.
        """
        rows = await self._journal.sagas.page(wanted)
        if not rows and wanted.after is not None and await self._journal.sagas.find(wanted.after) is None:
            raise PageGoneError(f"saga {wanted.after} is gone, and with it the place in the list; begin again")
        shown = [(row, self._running(row.id)) for row in rows]
        return [await self._view(row) if running is None else running.view() for row, running in shown]

    async def history(self, saga_id: str) -> list[LogRow]:
        """Every durable write of the saga's log.

        Raises
        ------
        UnknownSagaError
            There is no saga with that id.
        """
        await self._row(saga_id)
        return await self._journal.sagas.log(saga_id)

    async def ask(self, saga_id: str, kind: SignalKind, reason: str = "", *, generation: int | None = None) -> SagaView:
        """Make a request durable. The engine that owns the saga acts on it.

        Raises
        ------
        UnknownSagaError, SagaEndedError
        """
        row = await self._row(saga_id)
        shown = await self.view(saga_id)
        over = shown.completion_time is not None
        if over and kind in ("cancel", "suspend", "resume"):
            raise SagaEndedError(f"saga {saga_id} has ended as {shown.phase}; it can no longer be asked to {kind}")
        if not over or not row.settled:
            await self._journal.signals.ask(saga_id, kind, reason, generation=generation)
        return shown

    async def object_deleted(self, saga_id: str, policy: DeletionPolicy | None) -> SagaView:
        """Settle a saga whose object is gone, by this policy or by the one that it was started with.

        Raises
        ------
        UnknownSagaError
            There is no saga with that id.
        """
        if policy is None:
            policy = stored_origin(await self._row(saga_id)).deletion_policy
        orphan = policy == "Orphan"
        return await self.ask(saga_id, "object-deleted-orphan" if orphan else "object-deleted-compensate")

    async def _row(self, saga_id: str) -> SagaRow:
        row = await self._journal.sagas.find(saga_id)
        if row is None:
            raise UnknownSagaError(f"there is no saga {saga_id}; it never was, or its retention has passed")
        return row

    async def _view(self, row: SagaRow) -> SagaView:
        try:
            saga = stored_saga(row).saga
            return view(await self._declarations.revision(row.namespace, row.definition, saga.revision), saga)
        except JournalError:
            raise
        except Exception:
            # One row that cannot be read must not keep all the others from being listed.
            _log.exception("a saga's row cannot be read", saga=row.id)
            return _unreadable(row)

    def _running(self, saga_id: str) -> RunningSaga | None:
        tenure = self._owner.tenure
        return None if tenure is None else tenure.sagas.get(saga_id)


def _check_same(
    namespace: str, request: StartRequest, saga_id: str, its_namespace: str, definition: str, saga_input: dict[str, Any]
) -> None:
    """Check that a request which gives an id again asks for the same again.

    Raises
    ------
    IdReusedError
        It asks for something else.
    """
    if (namespace, request.definition, request.input) != (its_namespace, definition, saga_input):
        raise IdReusedError(
            f"id {saga_id} belongs to a saga of definition {definition} in namespace {its_namespace}, started "
            "with another input; use a new id for a new operation"
        )


def _unreadable(row: SagaRow) -> SagaView:
    """The view of a saga whose state this version cannot read, from the row's columns."""
    return SagaView(
        id=row.id,
        namespace=row.namespace,
        name=row.name or row.id,
        definition=row.definition,
        revision="",
        phase=row.phase,
        progress="",
        start_time=timestamp(row.created_at),
        completion_time=None if row.finished_at is None else timestamp(row.finished_at),
        reason="Unreadable",
        message="this version of the engine cannot read the saga's state and does not run it; its log has the reason",
    )
