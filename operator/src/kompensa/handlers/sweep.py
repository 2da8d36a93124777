"""Compares objects with the engine's sagas and the queues, to find changes that the watch did not report.

A Saga has no finalizer, so one that is deleted while the operator is away leaves only its saga in the engine. And a
watch can be dead without an error: an object that exists and was never delivered shows it. Each namespace is compared
on its own, so that one that cannot be read stops no other.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from kompensa.client.engine_client import EngineClient, EngineProblemError, EngineUnreachableError
from kompensa.cluster.kube import Kube, KubeError, NotFoundError, Presence
from kompensa.cluster.resources import OWN_KINDS, SAGAS, Object
from kompensa.handlers import metrics
from kompensa.handlers.namespaces import Trouble, WatchedNamespaces, gone, trouble_of
from kompensa.handlers.sagas import Sagas
from kompensa.handlers.vanished import Held, Vanished
from kompensa.handlers.watched_object import WatchedObject

_log = structlog.get_logger(__name__)

EVERY_SECONDS = 120.0
ENGINE_RETRY_SECONDS = 5.0
LATE_SECONDS = 30.0
"""The watch delivers within milliseconds; an object that is older than this and was not delivered never will be."""
SETTLE_AGAIN_SECONDS = 3600.0
"""A parked saga stays active for days, and each settling is a line in its history; but a journal restored from a backup
has lost some of those lines."""


@dataclass(frozen=True)
class _Before:
    """The state before the objects were listed: an object that is missing from the later list was deleted."""

    active: dict[str, str]
    accepted: frozenset[str]
    delivered: dict[str, str]
    held: list[Held]

    def active_in(self, namespace: str | None) -> set[str]:
        return {uid for uid, where in self.active.items() if namespace in (None, where)}


class Sweep:
    """Compares Sagas itself and leaves the other kinds to `vanished`; `wake` is called for a recovered namespace."""

    def __init__(
        self,
        kube: Kube,
        engine: EngineClient,
        sagas: Sagas,
        vanished: Vanished,
        namespaces: WatchedNamespaces,
        *,
        wake: Callable[[str | None], None],
    ) -> None:
        self._kube = kube
        self._engine = engine
        self._sagas = sagas
        self._vanished = vanished
        self._namespaces = namespaces
        self._wake = wake
        self._started = time.monotonic()
        self._settled: dict[str, float] = {}
        self._undelivered: dict[str | None, int] = {}

    async def run(self) -> None:
        """Compare each namespace when it is due, until cancelled."""
        while True:
            try:
                await self.once()
            except (EngineUnreachableError, EngineProblemError) as error:
                _log.info("the sweep waits for the engine", why=str(error))
                await asyncio.sleep(ENGINE_RETRY_SECONDS)
            else:
                await asyncio.sleep(self._namespaces.next_due_in())

    def finding(self) -> str:
        """For the probe: is the watch dead?"""
        undelivered = sum(self._undelivered.values())
        return f"the watch did not deliver {undelivered} Saga(s)" if undelivered else ""

    async def once(self) -> None:
        """Compare the namespaces that are due.

        Raises
        ------
        EngineUnreachableError, EngineProblemError
            If the engine cannot be asked. Trouble with the API server is noted for its namespace.
        """
        due = self._namespaces.due()
        before = await self._before()
        results = await asyncio.gather(*(self._visit(name, before) for name in due), return_exceptions=True)
        self._settled = {uid: at for uid, at in self._settled.items() if uid in before.active}
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _before(self) -> _Before:
        """The engine is asked first: whatever it knows had an object at that time."""
        active = {saga.id: saga.namespace async for saga in self._engine.active_object_sagas()}
        held = await self._vanished.held()
        return _Before(active, self._sagas.accepted(), dict(self._sagas.delivered), held)

    async def _visit(self, namespace: str | None, before: _Before) -> None:
        """Compare one namespace and note how it went."""
        try:
            trouble = await self._compare(namespace, before)
        except (EngineUnreachableError, EngineProblemError):
            raise
        except KubeError as error:
            trouble = trouble_of(error, Presence.UNKNOWN)
        except Exception as error:
            # One unreadable object must not end the sweep, and with it the operator.
            _log.exception("a namespace could not be compared", namespace=namespace)
            trouble = Trouble("ComparisonFailed", repr(error))
        if trouble is not None:
            self._undelivered.pop(namespace, None)
            self._namespaces.failed(namespace, trouble)
        elif self._namespaces.succeeded(namespace, again_in=EVERY_SECONDS):
            self._wake(namespace)

    async def _compare(self, namespace: str | None, before: _Before) -> Trouble | None:
        presence = Presence.PRESENT if namespace is None else await self._kube.presence(namespace)
        if namespace is not None and presence is Presence.GONE:
            await self._clear(namespace, before)
            return gone(namespace)
        error = await _error_of(self._compare_sagas(namespace, before))
        for held in before.held:
            error = await _error_of(self._vanished.compare(held, namespace)) or error
        return trouble_of(error, presence) if error is not None else await self._unwatched(namespace)

    async def _clear(self, namespace: str, before: _Before) -> None:
        """Settle and withdraw everything that came from a namespace that no longer exists."""
        await self._settle_all(before.active_in(namespace))
        for held in before.held:
            await self._vanished.report(held, namespace, set())
        self._forget_delivered(namespace, before, {})

    async def _compare_sagas(self, namespace: str | None, before: _Before) -> None:
        """Settle sagas whose object is gone, by the policy they were started with; bring in undelivered objects.

        If the engine took a saga and does not list it, it is started again: most have just ended, but a journal
        restored from a backup has lost some.
        """
        live = {
            item["metadata"]["uid"]: item["metadata"]
            async for item in self._kube.each(SAGAS, namespace, metadata_only=True)
        }
        await self._settle_all(before.active_in(namespace) - live.keys())
        for uid in before.accepted & live.keys() - before.active.keys():
            await self._bring(live[uid], self._sagas.repeat)
        self._forget_delivered(namespace, before, live)
        await self._bring_in(namespace, [meta for uid, meta in live.items() if uid not in self._sagas.delivered])

    def _forget_delivered(self, namespace: str | None, before: _Before, live: dict[str, Object]) -> None:
        """Only what was delivered before the list was read: a newer object is missing from it for that reason alone."""
        for uid, where in before.delivered.items():
            if namespace in (None, where) and uid not in live:
                self._sagas.delivered.pop(uid, None)

    async def _settle_all(self, uids: Iterable[str]) -> None:
        for uid in uids:
            if time.monotonic() - self._settled.get(uid, -SETTLE_AGAIN_SECONDS) < SETTLE_AGAIN_SECONDS:
                continue
            _log.info("settling a saga whose object was deleted", saga=uid)
            await self._engine.object_deleted(uid, None)
            self._settled[uid] = time.monotonic()
            metrics.SETTLED.inc()

    async def _unwatched(self, namespace: str | None) -> Trouble | None:
        """A kind that may be listed and not watched: it is reconciled late or never, and no restart helps."""
        for resource in OWN_KINDS:
            if not await self._kube.may("watch", resource, namespace):
                return Trouble("Forbidden", f"the operator may not watch {resource.plural} here; check its Role")
        return None

    async def _bring_in(self, namespace: str | None, missing: list[Object]) -> None:
        if time.monotonic() - self._started < LATE_SECONDS:
            return
        late = [meta for meta in missing if time.time() - _created(meta) > LATE_SECONDS]
        self._undelivered[namespace] = len(late)
        for meta in late:
            _log.error("the watch never delivered a Saga", saga=f"{meta['namespace']}/{meta['name']}")
            await self._bring(meta, self._sagas.offer)

    async def _bring(self, meta: Object, take: Callable[[WatchedObject], Awaitable[None]]) -> None:
        try:
            raw = await self._kube.get(SAGAS, meta["namespace"], meta["name"])
        except NotFoundError:
            return
        await take(WatchedObject(raw))


async def _error_of(step: Awaitable[None]) -> KubeError | None:
    """The API server's refusal of one kind, which must not keep the other kinds from being compared."""
    try:
        await step
    except KubeError as error:
        return error
    return None


def _created(meta: Object) -> float:
    return datetime.fromisoformat(str(meta["creationTimestamp"]).replace("Z", "+00:00")).timestamp()
