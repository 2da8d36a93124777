"""The Saga object as the face of a saga: the engine's views, written as status.

Runs in the engine's process. A resting view (ended, or parked in front of a person) is written at once and until the
API server has taken it, so that `publish` returning means that the object tells the truth. Views in between are
coalesced: the newest one every two seconds, and none at all for a saga that ends sooner. A saga costs one PATCH
that way, two when it needs a person's attention.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import structlog
from prometheus_client import Counter

from kompensa.cluster.events import event
from kompensa.cluster.kube import ConflictError, Kube, KubeError, NotFoundError, RefusedError, UnavailableError
from kompensa.cluster.resources import EVENTS, SAGAS, Object
from kompensa.cluster.status import essence, saga_status
from kompensa.model.view import SagaView

log = structlog.get_logger(__name__)

PROGRESS_EVERY = 2.0
IN_FLIGHT = 32
PROGRESS_IN_FLIGHT = 8
WAITING_EVENTS = 200
FIRST_RETRY = 0.2
LONGEST_RETRY = 5.0

_RESTING = frozenset({"Succeeded", "Compensated", "Terminated", "InterventionRequired"})
# Rights can be given later, and then the status is due.
_NO_RIGHT = (401, 403)
_WORTH_AN_EVENT = frozenset({"Compensated", "InterventionRequired"})

WRITES = Counter("kompensa_face_writes", "Writes to the API server about sagas", ["what", "result"])


@dataclass(slots=True)
class _Progress:
    """The newest view of a running saga that is not written yet, and what is scheduled for it."""

    view: SagaView
    generation: int | None
    timer: asyncio.TimerHandle | None = None
    writing: asyncio.Task[None] | None = None
    sent: bool = False


class KubernetesFace:
    """Writes views of object-born sagas; the object's uid is the saga's id."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._progress: dict[str, _Progress] = {}
        self._progress_slots = asyncio.Semaphore(PROGRESS_IN_FLIGHT)
        self._events: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def connect(cls) -> AsyncIterator[Self]:
        """A face for the API server of this pod or kubeconfig; what was not resting is not written at the end."""
        async with Kube.connect(in_flight=IN_FLIGHT) as kube:
            face = cls(kube)
            try:
                yield face
            finally:
                await face._close()

    async def publish(self, view: SagaView, generation: int | None = None) -> None:
        """Show this view. For a resting one, return when it is shown or there is no object left to show it on.

        While the API server is away a resting view waits for it here: who calls bounds how many do.
        """
        if view.phase in _RESTING:
            await self._forget_progress(view.id)
            await self._write_resting(view, saga_status(view, generation))
        else:
            self._note_progress(view, generation)

    async def _write_resting(self, view: SagaView, status: Object) -> None:
        pause = FIRST_RETRY
        while True:
            try:
                await self._write(view, status, "resting")
            except UnavailableError as error:
                log.info("a saga's status waits for the API server", saga=view.id, why=str(error))
                # Spread out, or all of them come back in the same moment as the API server does.
                await asyncio.sleep(max(pause * random.uniform(0.5, 1.0), error.retry_after))  # noqa: S311
                pause = min(pause * 2, LONGEST_RETRY)
            except RefusedError as error:
                if error.status in _NO_RIGHT:
                    log.error("the engine may not write sagas/status", saga=view.id, why=str(error))  # noqa: TRY400
                    await asyncio.sleep(LONGEST_RETRY)
                elif status == essence(status):
                    log.error("the API server refuses a saga's status", saga=view.id, why=str(error))  # noqa: TRY400
                    return
                else:
                    log.warning("the API server refuses details of a status", saga=view.id, why=str(error))
                    status = essence(status)
            else:
                self._tell(view)
                return

    def _note_progress(self, view: SagaView, generation: int | None) -> None:
        known = self._progress.get(view.id)
        if known is not None:
            known.view, known.generation = view, generation
            if known.timer is not None or known.writing is not None:
                return
        else:
            known = self._progress[view.id] = _Progress(view, generation)
        self._schedule(known)

    def _schedule(self, progress: _Progress) -> None:
        loop = asyncio.get_running_loop()
        progress.timer = loop.call_later(PROGRESS_EVERY, self._start_progress, progress)

    def _start_progress(self, progress: _Progress) -> None:
        progress.timer = None
        progress.writing = asyncio.create_task(self._write_progress(progress))

    async def _write_progress(self, progress: _Progress) -> None:
        """Write the newest view; one that came meanwhile, or that failed to be written, is due in two seconds."""
        done = False
        try:
            async with self._progress_slots:
                shown, progress.sent = progress.view, True
                await self._write(shown, saga_status(shown, progress.generation), "progress")
            done = progress.view is shown
        except KubeError as error:
            log.info("a saga's progress could not be shown", saga=progress.view.id, why=str(error))
        progress.writing, progress.sent = None, False
        if not done and self._progress.get(progress.view.id) is progress:
            self._schedule(progress)

    async def _forget_progress(self, saga: str) -> None:
        """From here on nothing older than the resting view may be written.

        A request that is under way is waited for: cancelled here, it could still be applied there, after ours.
        """
        progress = self._progress.pop(saga, None)
        if progress is None:
            return
        if progress.timer is not None:
            progress.timer.cancel()
        if progress.writing is not None:
            if not progress.sent:
                progress.writing.cancel()
            await asyncio.gather(progress.writing, return_exceptions=True)

    async def _write(self, view: SagaView, status: Object, what: str) -> None:
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
        if view.phase in _WORTH_AN_EVENT and len(self._events) < WAITING_EVENTS:
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
        for progress in self._progress.values():
            if progress.timer is not None:
                progress.timer.cancel()
            if progress.writing is not None:
                tasks.append(progress.writing)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
