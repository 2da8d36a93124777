"""The common part of the handlers of the four declarative kinds: offer an object, reconcile it, repeat."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import structlog

from kompensa.cluster.conditions import Condition, stalled, working
from kompensa.cluster.kube import Kube, RefusedError, UnavailableError
from kompensa.cluster.resources import Object, Resource
from kompensa.cluster.status_writer import write_status
from kompensa.handlers import metrics
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError, WorkQueue
from kompensa.model.parsing import SpecError
from kompensa_common.backoff import Backoff

_log = structlog.get_logger(__name__)

Spec = TypeVar("Spec")

ENGINE_PATIENCE_ATTEMPTS = 5
"""Attempts before an object reports that the engine is away (some seconds): a restart is not worth two writes each."""
REJECTED_SPEC_REPEAT_SECONDS = 60.0
REFUSED_RETRY = Backoff(first=5.0, longest=60.0)
"""Seconds until a request that the API server refused is repeated: rights and namespaces come back."""
WAITING_FOR_ENGINE = working("EngineUnreachable", "the engine cannot be reached; the operator keeps trying")


class Kind(ABC, Generic[Spec]):
    """A kind whose objects say how something should be; each is reconciled now and then, whether it changed or not."""

    resource: Resource
    spec_rejected: ClassVar[str] = "SpecInvalid"
    """The reason of an object whose spec cannot be read."""

    def __init__(self, kube: Kube, *, workers: int = 4) -> None:
        self._kube = kube
        self.queue: WorkQueue[WatchedObject] = WorkQueue(self.resource.plural, self._work, workers=workers)

    async def offer(self, watched: WatchedObject) -> None:
        """Take an object from the watch. Our own status writes come back as events, and those cause no work."""
        metrics.EVENTS.labels(self.resource.kind).inc()
        known = self.queue.item(watched.key)
        news = known is None or known.version != watched.version
        await self.queue.offer(watched.key, watched, wake=news)

    @abstractmethod
    def read_spec(self, watched: WatchedObject) -> Spec:
        """Parse the object's spec; everything behind this takes the result.

        Raises
        ------
        SpecError
            Naming the field and the expected value.
        """

    @abstractmethod
    async def reconcile(self, watched: WatchedObject, spec: Spec, attempt: int) -> float | None:
        """Do what the spec asks; return the seconds after which to look again, or None."""

    async def finalize(self, watched: WatchedObject) -> bool:
        """Prepare the end of an object that is being deleted; False if it is still reconciled until it is gone."""
        return False

    @abstractmethod
    async def forget(self, watched: WatchedObject) -> None:
        """The object is gone."""

    async def say(self, watched: WatchedObject, fields: Object, said: Iterable[Condition]) -> None:
        """Write the status, if it is news. If that is refused, only the log can report what it would have said.

        The work itself goes on: in a namespace that is being deleted the right to write a status goes first.
        """
        try:
            written = await write_status(self._kube, self.resource, watched.raw, fields, said)
        except RefusedError as error:
            _log.warning("a status cannot be written", kind=self.resource.kind, object=watched.key, why=str(error))
            return
        if written:
            metrics.STATUS_WRITES.labels(self.resource.kind).inc()

    def wake(self, namespace: str | None) -> None:
        """Reconcile the objects of a namespace now, those of all of them for None."""
        wake_objects(self.queue, namespace)

    async def _work(self, watched: WatchedObject, attempt: int) -> float | None:
        try:
            return await self._attempt(watched, attempt)
        except UnavailableError as error:
            raise RetryLaterError(str(error), after=error.retry_after) from error

    async def _attempt(self, watched: WatchedObject, attempt: int) -> float | None:
        try:
            if watched.deleted:
                await self.forget(watched)
                return None
            if watched.being_deleted and await self.finalize(watched):
                return None
            return await self.reconcile(watched, self.read_spec(watched), attempt)
        except SpecError as error:
            await self.say(watched, watched.fields, stalled(self.spec_rejected, str(error)))
            return REJECTED_SPEC_REPEAT_SECONDS
        except RefusedError as error:
            # Most often a right that is missing: the object is where a person looks first.
            await self.say(watched, watched.fields, stalled("RequestRefused", str(error)))
            raise RetryLaterError(str(error), after=REFUSED_RETRY.pause(attempt + 1)) from error


AnyKind: TypeAlias = Kind[Any]
"""For code that treats all kinds alike and reads no spec."""


def wake_objects(queue: WorkQueue[WatchedObject], namespace: str | None) -> None:
    """Wake the keys of a namespace's objects, all keys for None."""
    for key, watched in queue.items():
        if namespace in (None, watched.namespace):
            queue.wake(key)
