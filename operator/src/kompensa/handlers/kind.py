"""What the handlers of the four declarative kinds share: offer what was seen, reconcile it, repeat."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from kompensa.cluster.conditions import Condition, stalled, working
from kompensa.cluster.kube import Kube, RefusedError, UnavailableError
from kompensa.cluster.resources import Object, Resource
from kompensa.cluster.status_writer import write_status
from kompensa.handlers import metrics
from kompensa.handlers.seen import Seen
from kompensa.handlers.workqueue import RetryLaterError, WorkQueue

# Attempts before an object says that the engine is away (some seconds): a restart is not worth two writes an object.
PATIENCE = 5
REFUSED_RETRY = 10.0
WAITING_FOR_ENGINE = working("EngineUnreachable", "the engine cannot be reached; it is tried again until it can")


class Kind(ABC):
    """A kind whose objects say how something should be; each is reconciled now and then, whether it changed or not."""

    resource: Resource

    def __init__(self, kube: Kube, *, workers: int = 4) -> None:
        self._kube = kube
        self.queue: WorkQueue[Seen] = WorkQueue(self.resource.plural, self._work, workers=workers)

    async def offer(self, seen: Seen) -> None:
        """Take what the watch delivered. Our own status writes come back as events, too: those wake nobody."""
        metrics.EVENTS.labels(self.resource.kind).inc()
        known = self.queue.item(seen.key)
        news = known is None or _identity(known) != _identity(seen)
        await self.queue.offer(seen.key, seen, wake=news)

    @abstractmethod
    async def reconcile(self, seen: Seen, attempt: int) -> float | None:
        """Make it so; the seconds after which to look again, None for not again."""

    @abstractmethod
    async def forget(self, seen: Seen) -> None:
        """The object is gone."""

    async def say(self, seen: Seen, fields: Object, said: Iterable[Condition]) -> None:
        """Write the status, if it is news."""
        if await write_status(self._kube, self.resource, seen.raw, fields, said):
            metrics.STATUS_WRITES.labels(self.resource.kind).inc()

    async def _work(self, seen: Seen, attempt: int) -> float | None:
        try:
            if seen.deleted:
                await self.forget(seen)
                return None
            return await self.reconcile(seen, attempt)
        except RefusedError as error:
            # Most often a right that is missing: the object is where a person looks first.
            await self.say(seen, seen.fields, stalled("RequestRefused", str(error)))
            return REFUSED_RETRY
        except UnavailableError as error:
            raise RetryLaterError(str(error), after=error.retry_after) from error


def _identity(seen: Seen) -> tuple[object, ...]:
    return seen.uid, seen.generation, seen.deleted, seen.being_deleted
