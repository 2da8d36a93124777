"""Objects that vanished while nobody watched.

A watch tells of a deletion once. One that happened while the operator was away, or while its watch was broken, was told
to nobody: the engine would keep what the object declared, and a queue would repeat what it said, for ever. So what is
held is compared with what lives, and a kind is told what it missed as if the watch had delivered it now.
"""

from collections.abc import Sequence

import structlog

from kompensa.cluster.engine_client import EngineClient
from kompensa.cluster.kube import Kube
from kompensa.cluster.resources import Object
from kompensa.handlers.kind import Kind
from kompensa.handlers.seen import Seen

log = structlog.get_logger(__name__)


class Vanished:
    """Compares what the engine and the queues hold for objects with the objects of the watched namespaces."""

    def __init__(self, kube: Kube, engine: EngineClient, kinds: Sequence[Kind], namespaces: Sequence[str]) -> None:
        self._kube = kube
        self._engine = engine
        self._kinds = tuple(kinds)
        self._namespaces: list[str | None] = list(namespaces) or [None]

    async def once(self) -> None:
        """Tell each kind of its objects that are gone.

        What is held is read first: an object that is missing from the later list was deleted, and is not just too new.
        The lists are complete or raise, and nobody is told before all of them are there: an object that was not listed
        must never pass for one that does not exist. A name that lives again is left to the watch, which brings the new
        object: to withdraw the old one first would leave a moment in which running sagas find nobody to call.

        Raises
        ------
        KubeError, EngineUnreachableError, EngineProblemError
        """
        queued = [dict(kind.queue.items()) for kind in self._kinds]
        declared = await self._declared()
        live = [await self._live(kind) for kind in self._kinds]
        for kind, known, names in zip(self._kinds, queued, live, strict=True):
            held = {key: seen.raw for key, seen in known.items()} | declared.get(kind.resource.kind, {})
            for key in held.keys() - names:
                # What the watch has delivered since then is newer than our list.
                if self._watched(held[key]) and kind.queue.item(key) is known.get(key):
                    log.info("an object vanished unseen", kind=kind.resource.kind, object=key)
                    await kind.offer(Seen(held[key], deleted=True))

    async def _declared(self) -> dict[str, dict[str, Object]]:
        """By kind and key, objects that say no more than who they are."""
        declared: dict[str, dict[str, Object]] = {}
        for item in await self._engine.declared_objects():
            metadata = {"namespace": item.namespace, "name": item.name, "uid": item.uid}
            declared.setdefault(item.kind, {})[f"{item.namespace}/{item.name}"] = {"metadata": metadata}
        return declared

    async def _live(self, kind: Kind) -> set[str]:
        return {
            f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            for namespace in self._namespaces
            async for item in self._kube.each(kind.resource, namespace, metadata_only=True)
        }

    def _watched(self, held: Object) -> bool:
        return self._namespaces == [None] or held["metadata"]["namespace"] in self._namespaces
