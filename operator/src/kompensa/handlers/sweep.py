"""Comparing live objects with what is held for them, now and then: what no event told us.

A Saga sets no finalizer, so one deleted while nobody watched leaves no trace but its saga. And a watch can be dead
without saying so; an object that is there and was never delivered gives that away.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from kompensa.cluster.engine_client import EngineClient, EngineProblemError, EngineUnreachableError
from kompensa.cluster.kube import Kube, KubeError, NotFoundError
from kompensa.cluster.resources import SAGAS, Object
from kompensa.handlers import metrics
from kompensa.handlers.sagas import Sagas
from kompensa.handlers.seen import Seen
from kompensa.handlers.vanished import Vanished

log = structlog.get_logger(__name__)

EVERY = 120.0
RETRY = 5.0
# The watch delivers within milliseconds; an object that is older than this and was not delivered never will be.
LATE = 30.0
# A parked saga stays active for days, and each settling is a line in its history; a journal restored from a backup has
# forgotten some.
SETTLE_AGAIN = 3600.0


class Sweep:
    """Compares Sagas itself, the other kinds by `vanished`; `undelivered` counts what it had to bring in last time."""

    def __init__(
        self, kube: Kube, engine: EngineClient, sagas: Sagas, vanished: Vanished, namespaces: Sequence[str]
    ) -> None:
        self._kube = kube
        self._engine = engine
        self._sagas = sagas
        self._vanished = vanished
        self._namespaces: list[str | None] = list(namespaces) or [None]
        self._started = time.monotonic()
        self._settled: dict[str, float] = {}
        self.undelivered = 0

    async def run(self) -> None:
        """Compare now and then, until cancelled."""
        while True:
            try:
                await self.once()
                await self._vanished.once()
            except (KubeError, EngineUnreachableError, EngineProblemError) as error:
                log.info("the sweep could not be done, trying again", why=str(error))
                await asyncio.sleep(RETRY)
            else:
                await asyncio.sleep(EVERY)

    def finding(self) -> str:
        """For the probe: is the watch dead?"""
        return f"the watch did not deliver {self.undelivered} Saga(s)" if self.undelivered else ""

    async def once(self) -> None:
        """Settle sagas whose object is gone, by the policy they were started with; bring in what was not delivered.

        The engine is asked first: what it knows had an object at that time, so that an object missing from the later
        list was deleted in between or before, and is not just too new to be in it. And what the engine took and does
        not list is asked for again: most have just ended, but a journal restored from a backup has lost some.
        """
        active = {saga.id: saga.namespace async for saga in self._engine.active_object_sagas()}
        live = await self._live()
        for uid in active.keys() - live.keys():
            if self._namespaces == [None] or active[uid] in self._namespaces:
                await self._settle(uid)
        self._settled = {uid: at for uid, at in self._settled.items() if uid in active}
        for uid in self._sagas.told() & live.keys() - active.keys():
            await self._bring(live[uid], self._sagas.repeat)
        self._sagas.delivered &= live.keys()
        await self._bring_in([meta for uid, meta in live.items() if uid not in self._sagas.delivered])

    async def _live(self) -> dict[str, Object]:
        live: dict[str, Object] = {}
        for namespace in self._namespaces:
            async for item in self._kube.each(SAGAS, namespace, metadata_only=True):
                live[item["metadata"]["uid"]] = item["metadata"]
        return live

    async def _settle(self, uid: str) -> None:
        if time.monotonic() - self._settled.get(uid, -SETTLE_AGAIN) < SETTLE_AGAIN:
            return
        log.info("settling a saga whose object was deleted", saga=uid)
        await self._engine.object_deleted(uid, None)
        self._settled[uid] = time.monotonic()
        metrics.SETTLED.inc()

    async def _bring_in(self, missing: list[Object]) -> None:
        if time.monotonic() - self._started < LATE:
            return
        late = [meta for meta in missing if time.time() - _created(meta) > LATE]
        self.undelivered = len(late)
        for meta in late:
            log.error("the watch never delivered a Saga", saga=f"{meta['namespace']}/{meta['name']}")
            await self._bring(meta, self._sagas.offer)

    async def _bring(self, meta: Object, take: Callable[[Seen], Awaitable[None]]) -> None:
        try:
            raw = await self._kube.get(SAGAS, meta["namespace"], meta["name"])
        except NotFoundError:
            return
        await take(Seen(raw))


def _created(meta: Object) -> float:
    return datetime.fromisoformat(str(meta["creationTimestamp"]).replace("Z", "+00:00")).timestamp()
