"""Objects that vanished while the operator did not watch.

A watch reports a deletion once. If that happened while the operator was away, or while its watch was broken, the engine
would keep what the object declared, and a queue would reconcile it, forever. So what is held is compared with what
exists, and a kind learns of a missed deletion as if the watch had delivered it now.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from kompensa.client.engine_client import EngineClient
from kompensa.cluster.kube import Kube
from kompensa.cluster.resources import Object
from kompensa.handlers.kind import AnyKind
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import WorkQueue

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """The objects of one kind, by key, that its queue knows and that the engine keeps declarations for."""

    kind: AnyKind
    queued: dict[str, WatchedObject]
    declared: dict[str, Object]


class Vanished:
    """Compares what the engine and the queues hold for objects with the objects that exist."""

    def __init__(self, kube: Kube, engine: EngineClient, kinds: Sequence[AnyKind]) -> None:
        self._kube = kube
        self._engine = engine
        self._kinds = tuple(kinds)

    async def held(self) -> list[Held]:
        """The held objects, to be read before the objects are listed.

        An object that is held and missing from the later list was deleted, and is not just too new to be in it.

        Raises
        ------
        EngineUnreachableError, EngineProblemError
        """
        queued = [dict(kind.queue.items()) for kind in self._kinds]
        declared = await self._declared()
        return [
            Held(kind, known, declared.get(kind.resource.kind, {}))
            for kind, known in zip(self._kinds, queued, strict=True)
        ]

    async def compare(self, held: Held, namespace: str | None) -> None:
        """Report to a kind its objects in a namespace that no longer exist.

        Nothing is reported before the list is complete. A name that exists again is left to the watch, which brings the
        new object: without the old one, running sagas would have no participant to call for a moment.

        Raises
        ------
        KubeError
            If the objects cannot be listed.
        """
        live = {
            f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            async for item in self._kube.each(held.kind.resource, namespace, metadata_only=True)
        }
        await self.report(held, namespace, live)

    async def report(self, held: Held, namespace: str | None, live: set[str]) -> None:
        """Report what is held for objects of a namespace other than the `live` ones."""
        everything = {key: watched.raw for key, watched in held.queued.items()} | held.declared
        queue: WorkQueue[WatchedObject] = held.kind.queue
        for key in everything.keys() - live:
            raw = everything[key]
            # An object that the watch has delivered since then is newer than our list.
            if namespace in (None, raw["metadata"]["namespace"]) and queue.item(key) is held.queued.get(key):
                _log.info("an object vanished unseen", kind=held.kind.resource.kind, object=key)
                await held.kind.offer(WatchedObject(raw, deleted=True))

    async def _declared(self) -> dict[str, dict[str, Object]]:
        """By kind and key, objects that hold no more than their identity."""
        declared: dict[str, dict[str, Object]] = {}
        for item in await self._engine.declared_objects():
            metadata = {"namespace": item.namespace, "name": item.name, "uid": item.uid}
            declared.setdefault(item.kind, {})[f"{item.namespace}/{item.name}"] = {"metadata": metadata}
        return declared
