"""Deleting finished Sagas whose ttlSecondsAfterFinished is over.

Kept in memory only: after a restart the watch delivers every finished Saga again. Deletions are spread out, because
ten thousand orders that ended together are due together, and the API server has other work.
"""

import asyncio
import heapq
import time
from dataclasses import dataclass
from datetime import datetime

import structlog

from kompensa.cluster.kube import Kube, KubeError, RefusedError
from kompensa.cluster.resources import SAGAS
from kompensa.handlers.watched_object import WatchedObject
from kompensa_common.backoff import Backoff

_log = structlog.get_logger(__name__)

DELETES_PER_SECOND = 20.0
RETRY_SECONDS = 30.0
LONGEST_NAP_SECONDS = 1.0
REFUSED_RETRY = Backoff(first=30.0, longest=600.0)
"""Seconds for which a namespace is left alone after the API server refused a deletion there."""


@dataclass(slots=True)
class _Refused:
    """A namespace in which deletions are refused, and until when it is left alone (seconds since the epoch)."""

    times: int = 0
    until: float = 0.0


class FinishedSagas:
    """A heap of due times; only the newest entry of an object counts."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._heap: list[tuple[float, str, str, str]] = []
        self._due: dict[str, float] = {}
        self._refused: dict[str, _Refused] = {}

    def __len__(self) -> int:
        return len(self._due)

    def note(self, watched: WatchedObject, ttl_seconds: int | None) -> None:
        """Take a finished Saga's TTL; None keeps it. A Saga that is deleted is forgotten."""
        due = None if watched.deleted else due_at(ttl_seconds, watched.status.get("completionTime"))
        if due is None:
            self._due.pop(watched.uid, None)
        elif self._due.get(watched.uid) != due:
            self._push(due, watched.namespace, watched.name, watched.uid)

    async def run(self) -> None:
        """Delete what is due, one after another, until cancelled."""
        while True:
            entry = self._next(time.time())
            if entry is None:
                await asyncio.sleep(LONGEST_NAP_SECONDS)
                continue
            await self._delete(*entry)
            await asyncio.sleep(1 / DELETES_PER_SECOND)

    def _push(self, due: float, namespace: str, name: str, uid: str) -> None:
        self._due[uid] = due
        heapq.heappush(self._heap, (due, namespace, name, uid))

    def _next(self, now: float) -> tuple[str, str, str] | None:
        while self._heap and self._heap[0][0] <= now:
            due, namespace, name, uid = heapq.heappop(self._heap)
            refused = self._refused.get(namespace)
            if self._due.get(uid) != due:
                continue
            if refused is not None and now < refused.until:
                # Thousands of Sagas that may not be deleted must not come before one that may.
                self._push(refused.until, namespace, name, uid)
                continue
            return namespace, name, uid
        return None

    async def _delete(self, namespace: str, name: str, uid: str) -> None:
        try:
            await self._kube.delete(SAGAS, namespace, name, uid=uid)
            self._refused.pop(namespace, None)
        except RefusedError as error:
            self._hold(namespace, error)
            self._push(self._refused[namespace].until, namespace, name, uid)
        except KubeError as error:
            _log.warning(
                "a finished Saga could not be deleted, trying again", saga=f"{namespace}/{name}", error=str(error)
            )
            self._push(time.time() + RETRY_SECONDS, namespace, name, uid)

    def _hold(self, namespace: str, error: RefusedError) -> None:
        refused = self._refused.setdefault(namespace, _Refused())
        refused.times += 1
        refused.until = time.time() + REFUSED_RETRY.pause(refused.times)
        _log.warning("finished Sagas cannot be deleted here, trying again", namespace=namespace, why=str(error))


def due_at(ttl_seconds: int | None, completed: str | None) -> float | None:
    """When to delete a finished Saga, in seconds since the epoch; None keeps it."""
    if ttl_seconds is None or not completed:
        return None
    return datetime.fromisoformat(completed.replace("Z", "+00:00")).timestamp() + ttl_seconds
