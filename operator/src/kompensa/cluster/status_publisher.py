"""Writes the engine's views of sagas to the status of their Saga objects.

Runs in the engine's process. A resting view (ended, or waiting for a person) is written at once, and again until the
API server has accepted it. So once `publish` returns, the object shows the truth, unless the saga has gone on. Views in
between are coalesced: the newest one every two seconds, and none at all for a saga that ends sooner. A saga costs one
PATCH that way, two when it needs a person's attention.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Self

import structlog
from prometheus_client import Counter

from kompensa.cluster.events import event
from kompensa.cluster.kube import ConflictError, Kube, KubeError, NotFoundError, RefusedError, UnavailableError
from kompensa.cluster.resources import EVENTS, SAGAS, Object
from kompensa.cluster.status import bare, essence, saga_status
from kompensa.model.saga import RESTING
from kompensa.model.view import SagaView
from kompensa_common.backoff import Backoff

_log = structlog.get_logger(__name__)

PROGRESS_EVERY_SECONDS = 2.0
IN_FLIGHT_REQUESTS = 32
PROGRESS_IN_FLIGHT_REQUESTS = 8
EVENTS_IN_FLIGHT = 200
RETRY = Backoff(first=0.2, longest=5.0)
REFUSED_RETRY = Backoff(first=5.0, longest=60.0)
"""Many sagas of one namespace without rights must leave the API server free for the others."""

# Rights can be given later, and then the status is due.
_NO_RIGHT = (401, 403)
_WORTH_AN_EVENT = frozenset({"Compensated", "InterventionRequired"})

WRITES = Counter("kompensa_status_writes", "Writes to the API server about sagas", ["what", "result"])


async def _always() -> None:
    """For a caller that may write at any time."""


@dataclass(slots=True, eq=False)
class _Due:
    """The newest view of one object that is still to be written, if any, and the task that writes it."""

    saga: str
    view: SagaView | None = None
    generation: int | None = None
    permitted: Callable[[], Awaitable[None]] = _always
    settled: asyncio.Future[None] | None = None
    """Done once a resting view is shown, or is the newest no more."""
    timer: asyncio.TimerHandle | None = None
    writer: asyncio.Task[None] | None = None
    sent: bool = False

    @property
    def resting(self) -> bool:
        return self.view is not None and self.view.phase in RESTING

    def settle(self, error: Exception | None = None) -> None:
        """Release the callers that wait for the current view."""
        waiting, self.settled = self.settled, None
        if waiting is not None and not waiting.done():
            if error is None:
                waiting.set_result(None)
            else:
                waiting.set_exception(error)

    def halt(self) -> None:
        """Stop what is scheduled, but no request under way: cancelled here, it could still be applied there, later."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.writer is not None and not self.sent:
            self.writer.cancel()
            self.writer = None


class KubernetesStatusPublisher:
    """Writes views of sagas that objects started; the object's uid is the saga's id.

    A saga has one writer at a time, which writes the newest view there is: nothing older can be written last.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._due: dict[str, _Due] = {}
        self._progress_slots = asyncio.Semaphore(PROGRESS_IN_FLIGHT_REQUESTS)
        self._events: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def connect(cls) -> AsyncIterator[Self]:
        """A publisher for the API server of this pod or kubeconfig. Progress still due at the end is dropped."""
        async with Kube.connect(in_flight=IN_FLIGHT_REQUESTS) as kube:
            publisher = cls(kube)
            try:
                yield publisher
            finally:
                await publisher._close()

    async def publish(
        self,
        view: SagaView,
        generation: int | None = None,
        *,
        permitted: Callable[[], Awaitable[None]] = _always,
    ) -> None:
        """Show this view. For a resting one, return when it is shown, or another one is due, or its object is gone.

        While the API server is away a resting view waits for it here: who calls bounds how many do. Each write waits
        for `permitted`, which raises when the saga is another engine's.
        """
        due = self._due.setdefault(view.id, _Due(view.id))
        was_resting = due.resting
        if due.view != view:
            due.settle()
        due.view, due.generation, due.permitted = view, generation, permitted
        if due.resting or was_resting:
            due.halt()
        self._begin(due)
        if due.resting:
            settled = due.settled = due.settled or asyncio.get_running_loop().create_future()
            await asyncio.wait([settled])
            settled.result()

    def forget(self, sagas: Iterable[str]) -> None:
        """Write nothing more about these: they are another engine's from now on."""
        for saga in sagas:
            due = self._due.get(saga)
            if due is not None:
                due.view = None
                due.settle()
                due.halt()
                self._drop(due)

    def _begin(self, due: _Due) -> None:
        """Have the newest view written: a resting one at once, any other one in two seconds."""
        if due.timer is not None or due.writer is not None:
            return
        if due.resting:
            self._start_writer(due)
        else:
            due.timer = asyncio.get_running_loop().call_later(PROGRESS_EVERY_SECONDS, self._start_writer, due)

    def _start_writer(self, due: _Due) -> None:
        due.timer = None
        due.writer = asyncio.create_task(self._write_newest(due))

    def _drop(self, due: _Due) -> None:
        """Keep nothing of a saga without a due view; a running request stays, since the next one must follow it."""
        if due.view is None and due.writer is None:
            del self._due[due.saga]

    async def _write_newest(self, due: _Due) -> None:
        """Write until a view is taken, then see whether a newer one came meanwhile."""
        attempts = 1
        while (wait := await self._attempt(due, attempts)) is not None and due.resting:
            await asyncio.sleep(wait)
            attempts += 1
        due.writer = None
        if due.view is not None:
            self._begin(due)
        self._drop(due)

    async def _attempt(self, due: _Due, attempts: int) -> float | None:
        """Write the newest view once; return how long to wait where that must be done again."""
        try:
            await due.permitted()
            async with nullcontext() if due.resting else self._progress_slots:
                shown = await self._send(due)
        except UnavailableError as error:
            _log.info("a saga's status waits for the API server", saga=due.saga, why=str(error))
            return max(RETRY.pause(attempts), error.retry_after)
        except RefusedError as error:
            _log.error("the engine may not write sagas/status", saga=due.saga, why=str(error))
            return REFUSED_RETRY.pause(attempts)
        except Exception as error:
            _log.warning("a saga's status cannot be written", saga=due.saga, error=repr(error))
            due.view = None
            due.settle(error)
            return None
        if shown is not None and due.view is shown:
            self._tell(shown)
            due.view = None
            due.settle()
        return None

    async def _send(self, due: _Due) -> SagaView | None:
        """Write the view that is the newest now, and return it."""
        view, due.sent = due.view, True
        try:
            if view is not None:
                await self._write(view, saga_status(view, due.generation), "resting" if due.resting else "progress")
        finally:
            due.sent = False
        return view

    async def _write(self, view: SagaView, status: Object, what: str) -> None:
        """Write the status, or as much of it as the API server accepts.

        Raises
        ------
        UnavailableError
            The API server did not answer.
        RefusedError
            The engine has no right to write the status.
        """
        for form in (status, essence(status), bare(status)):
            try:
                await self._set_status(view, form, what)
            except RefusedError as error:
                if error.status in _NO_RIGHT:
                    raise
                _log.warning("the API server refuses details of a status", saga=view.id, why=str(error))
            else:
                return
        _log.error("the API server refuses a saga's status", saga=view.id)

    async def _set_status(self, view: SagaView, status: Object, what: str) -> None:
        try:
            await self._kube.set_status(SAGAS, view.namespace, view.name, view.id, status)
        except (NotFoundError, ConflictError):
            WRITES.labels(what, "gone").inc()
        except KubeError:
            WRITES.labels(what, "failed").inc()
            raise
        else:
            WRITES.labels(what, "done").inc()

    def _tell(self, view: SagaView) -> None:
        """Say in an Event what a person must see. Best effort: the status has been written, and says the same."""
        if view.phase in _WORTH_AN_EVENT and len(self._events) < EVENTS_IN_FLIGHT:
            task = asyncio.create_task(self._write_event(view))
            self._events.add(task)
            task.add_done_callback(self._events.discard)

    async def _write_event(self, view: SagaView) -> None:
        body = event(
            SAGAS,
            namespace=view.namespace,
            name=view.name,
            uid=view.id,
            reason=view.phase,
            message=f"{view.reason or view.phase}: {view.message or 'see status'}",
            kind="Warning",
            component="kompensa-engine",
        )
        try:
            await self._kube.create(EVENTS, view.namespace, body)
            WRITES.labels("event", "done").inc()
        except KubeError:
            WRITES.labels("event", "failed").inc()

    async def _close(self) -> None:
        tasks = list(self._events)
        for due in self._due.values():
            if due.timer is not None:
                due.timer.cancel()
            if due.writer is not None:
                tasks.append(due.writer)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
