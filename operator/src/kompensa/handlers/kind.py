"""The common part of the handlers of the four declarative kinds: offer an object, reconcile it, repeat."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import structlog

from kompensa.cluster.conditions import Condition, stalled, working
from kompensa.cluster.kube import Kube, RefusedError, UnavailableError
from kompensa.cluster.resources import Object, Resource
from kompensa.cluster.status_writer import write_status
from kompensa.handlers import metrics
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError, WorkQueue
from kompensa_common.backoff import Backoff

_log = structlog.get_logger(__name__)

# Attempts before an object says that the engine is away (some seconds): a restart is not worth two writes an object.
PATIENCE = 5
REFUSED_RETRY = Backoff(first=5.0, longest=60.0)
"""Seconds until a request that the API server refused is repeated: rights and namespaces come back."""
WAITING_FOR_ENGINE = working("EngineUnreachable", "the engine cannot be reached; the operator keeps trying")


class Kind(ABC):
    """A kind whose objects say how something should be; each is reconciled now and then, whether it changed or not."""

    resource: Resource

    def __init__(self, kube: Kube, *, workers: int = 4) -> None:
        self._kube = kube
        self.queue: WorkQueue[WatchedObject] = WorkQueue(self.resource.plural, self._work, workers=workers)

    async def offer(self, seen: WatchedObject) -> None:
        """Take an object from the watch. Our own status writes come back as events, and those cause no work."""
        metrics.EVENTS.labels(self.resource.kind).inc()
        known = self.queue.item(seen.key)
        news = known is None or _identity(known) != _identity(seen)
        await self.queue.offer(seen.key, seen, wake=news)

    @abstractmethod
    async def reconcile(self, seen: WatchedObject, attempt: int) -> float | None:
        """Make it so; return the seconds after which to look again, or None."""

    @abstractmethod
    async def forget(self, seen: WatchedObject) -> None:
        """The object is gone."""

    async def say(self, seen: WatchedObject, fields: Object, said: Iterable[Condition]) -> None:
        """Write the status, if it is news. If that is refused, only the log can report what it would have said.

        The work itself goes on: in a namespace that is being deleted the right to write a status goes first.
        """
        try:
            written = await write_status(self._kube, self.resource, seen.raw, fields, said)
        except RefusedError as error:
            _log.warning("a status cannot be written", kind=self.resource.kind, object=seen.key, why=str(error))
            return
        if written:
            metrics.STATUS_WRITES.labels(self.resource.kind).inc()

    def wake(self, namespace: str | None) -> None:
        """Reconcile the objects of a namespace now, those of all of them for None."""
        wake_objects(self.queue, namespace)

    async def _work(self, seen: WatchedObject, attempt: int) -> float | None:
        try:
            return await self._attempt(seen, attempt)
        except UnavailableError as error:
            raise RetryLaterError(str(error), after=error.retry_after) from error

    async def _attempt(self, seen: WatchedObject, attempt: int) -> float | None:
        try:
            if seen.deleted:
                await self.forget(seen)
                return None
            return await self.reconcile(seen, attempt)
        except RefusedError as error:
            # Most often a right that is missing: the object is where a person looks first.
            await self.say(seen, seen.fields, stalled("RequestRefused", str(error)))
            raise RetryLaterError(str(error), after=REFUSED_RETRY.pause(attempt + 1)) from error


def wake_objects(queue: WorkQueue[WatchedObject], namespace: str | None) -> None:
    """Wake the keys of a namespace's objects, all keys for None."""
    for key, seen in queue.items():
        if namespace in (None, seen.namespace):
            queue.wake(key)


def _identity(seen: WatchedObject) -> tuple[object, ...]:
    return seen.uid, seen.generation, seen.deleted, seen.being_deleted
