"""Saga objects: each is a command to the engine, given once and repeated until it is understood.

The engine writes a Saga's status while it runs and when it ends. This handler writes it only if the engine never
accepted the Saga: an unknown definition, an input that does not fit, an idempotency key used twice. The object's uid is
the saga's id, so a repeated request (after a restart, after a lost reply) starts nothing new.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from kompensa.client.engine_client import Ask, EngineClient, EngineProblemError, EngineUnreachableError
from kompensa.cluster.kube import ConflictError, Kube, NotFoundError, RefusedError, UnavailableError
from kompensa.cluster.resources import SAGAS
from kompensa.cluster.saga_refusal import Refusal, pending, refusal, terminated, unreadable, waiting_for_engine
from kompensa.cluster.status_writer import write_status
from kompensa.handlers import metrics
from kompensa.handlers.kind import ENGINE_PATIENCE_ATTEMPTS, REFUSED_RETRY
from kompensa.handlers.saga_request import Controls, controls, mirror_status, overdue, start_request
from kompensa.handlers.watched_object import Version, WatchedObject
from kompensa.handlers.workqueue import RetryLaterError, WorkQueue
from kompensa.model.parsing import SpecError, parse_saga
from kompensa.model.saga import TERMINAL
from kompensa.model.specs import SagaSpec
from kompensa.model.view import SagaView

# Verdicts on the Saga itself. Its spec cannot be changed, so they are final.
FINAL = frozenset(
    {"input-invalid", "input-too-large", "body-too-large", "body-invalid", "not-storable", "idempotency-key-reused"}
)
WORKERS = 16
DEFINITION_RETRY_SECONDS = 15.0
MIRROR_EVERY_SECONDS = 2.0

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class _Accepted:
    """An object as the engine last accepted it."""

    version: Version
    controls: Controls


class Sagas:
    """Starts, controls and settles the sagas of Saga objects."""

    def __init__(
        self, kube: Kube, engine: EngineClient, *, on_finished: Callable[[WatchedObject, int | None], None]
    ) -> None:
        """`on_finished` gets a Saga that has ended and its TTL, each time it is delivered: the TTL may have changed."""
        self._kube = kube
        self._engine = engine
        self._on_finished = on_finished
        self._accepted: dict[str, _Accepted] = {}
        self._waiting: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self.queue: WorkQueue[WatchedObject] = WorkQueue("sagas", self._work, workers=WORKERS)
        self.delivered: dict[str, str] = {}
        """The namespaces of the objects that the watch has delivered, by uid."""

    async def offer(self, watched: WatchedObject) -> None:
        """Take an object from the watch; most events are the engine's own status writes and need no work."""
        metrics.EVENTS.labels("Saga").inc()
        if watched.deleted:
            self.delivered.pop(watched.uid, None)
            self._on_finished(watched, None)
        else:
            self.delivered[watched.uid] = watched.namespace
        if is_finished(watched):
            self._finished(watched)
        elif not self._is_accepted(watched):
            known = self.queue.item(watched.uid)
            news = known is None or known.version != watched.version
            await self.queue.offer(watched.uid, watched, wake=news)

    def _is_accepted(self, watched: WatchedObject) -> bool:
        accepted = self._accepted.get(watched.uid)
        return accepted is not None and accepted.version == watched.version

    async def repeat(self, watched: WatchedObject) -> None:
        """Start again what the engine should know, and may not: it answers with the saga that it has, or makes it."""
        self._accepted.pop(watched.uid, None)
        await self.offer(watched)

    def accepted(self) -> frozenset[str]:
        """The uids of Sagas that the engine has taken and whose end has not been seen."""
        return frozenset(self._accepted)

    def definition_ready(self, namespace: str, name: str) -> None:
        """Start the Sagas that waited for this definition."""
        for uid in self._waiting.pop((namespace, name), ()):
            self.queue.wake(uid)

    def _finished(self, watched: WatchedObject) -> None:
        self._accepted.pop(watched.uid, None)
        self.queue.drop(watched.uid)
        if not watched.deleted:
            spec = spec_if_readable(watched)
            self._on_finished(watched, spec.ttl_seconds_after_finished if spec is not None else None)

    async def _work(self, watched: WatchedObject, attempt: int) -> float | None:
        try:
            return await self._attempt(watched, attempt)
        except (EngineUnreachableError, EngineProblemError) as error:
            raise RetryLaterError(str(error)) from error
        except UnavailableError as error:
            raise RetryLaterError(str(error), after=error.retry_after) from error
        except RefusedError as error:
            raise RetryLaterError(str(error), after=REFUSED_RETRY.pause(attempt + 1)) from error

    async def _attempt(self, watched: WatchedObject, attempt: int) -> float | None:
        if watched.deleted:
            await self._settle(watched)
            return None
        has_begun = watched.status.get("phase")
        try:
            spec = parse_saga(watched.spec_as_written)
            return await (self._control if watched.uid in self._accepted else self._start)(watched, spec)
        except SpecError as error:
            if not has_begun:
                await self._say(watched, unreadable(str(error)))
            return None
        except (EngineUnreachableError, EngineProblemError):
            # A problem that is not about this Saga (for example a wrong URL) does not reject it.
            if attempt >= ENGINE_PATIENCE_ATTEMPTS and not has_begun:
                await self._say(watched, waiting_for_engine())
            raise

    async def _start(self, watched: WatchedObject, spec: SagaSpec) -> float | None:
        if watched.being_deleted and await self._running(watched) is None:
            return None  # it has not begun, and its object is being deleted
        request = start_request(watched, spec)
        try:
            view = msgspec.convert(await self._engine.start_saga(watched.namespace, request), SagaView)
        except EngineProblemError as problem:
            running = await self._running(watched)
            if running is None:
                return await self._refused(watched, spec, problem)
            view = running
        if view.id != watched.uid:
            return await self._mirror(watched, spec, view)
        for ask in overdue(controls(watched, spec), view.phase):
            await self._ask(watched, ask)
        self._accept(watched, spec)  # last: a request that failed is repeated with the start
        return None

    def _accept(self, watched: WatchedObject, spec: SagaSpec) -> None:
        self._accepted[watched.uid] = _Accepted(watched.version, controls(watched, spec))

    async def _running(self, watched: WatchedObject) -> SagaView | None:
        """The saga of this object if the engine has it: a refusal to start it again is then no verdict on it.

        Its definition may have been deleted, or made stricter, since it was started.
        """
        try:
            return msgspec.convert(await self._engine.saga(watched.uid), SagaView)
        except EngineProblemError as problem:
            if problem.status != _NOT_FOUND:
                raise
            return None

    async def _refused(self, watched: WatchedObject, spec: SagaSpec, problem: EngineProblemError) -> float | None:
        if problem.slug in FINAL:
            await self._say(watched, terminated(refusal(problem)))
            return None
        if problem.slug != "unknown-definition":
            raise problem
        definition = spec.definition_ref.name
        known = await self._engine.definitions(watched.namespace)
        self._waiting[(watched.namespace, definition)].add(watched.uid)
        await self._say(watched, pending(definition, watched.namespace, known))
        return DEFINITION_RETRY_SECONDS

    async def _mirror(self, watched: WatchedObject, spec: SagaSpec, view: SagaView) -> float | None:
        """Its idempotency key belongs to another run with the same input: this object shows that one, to its end."""
        status = mirror_status(watched.generation, spec, view)
        if status != watched.status:
            with suppress(NotFoundError, ConflictError):
                await self._kube.set_status(SAGAS, watched.namespace, watched.name, watched.uid, status)
                metrics.STATUS_WRITES.labels("Saga").inc()
                watched.raw["status"] = status
        return None if view.phase in TERMINAL else MIRROR_EVERY_SECONDS

    async def _control(self, watched: WatchedObject, spec: SagaSpec) -> None:
        """Pass on the changes since the engine last accepted the object."""
        before, now = self._accepted[watched.uid].controls, controls(watched, spec)
        if now.cancel and not before.cancel:
            await self._ask(watched, "cancel")
        if now.suspend != before.suspend:
            await self._ask(watched, "suspend" if now.suspend else "resume")
        self._accept(watched, spec)

    async def _ask(self, watched: WatchedObject, ask: Ask) -> None:
        reason = "its Saga object is being deleted" if ask == "cancel" and watched.being_deleted else ""
        try:
            await self._engine.ask(watched.uid, ask, reason=reason, generation=watched.generation)
        except EngineProblemError as problem:
            if problem.slug == "unknown-saga":
                # A journal restored from a backup: the next attempt starts the saga again.
                self._accepted.pop(watched.uid, None)
            if problem.slug != "saga-ended":
                raise

    async def _settle(self, watched: WatchedObject) -> None:
        """Let the engine end the saga by the object's policy; None takes the one that it was started with."""
        spec = spec_if_readable(watched)
        await self._engine.object_deleted(watched.uid, spec.deletion_policy if spec is not None else None)
        self._accepted.pop(watched.uid, None)
        for waiting in self._waiting.values():
            waiting.discard(watched.uid)
        metrics.SETTLED.inc()

    async def _say(self, watched: WatchedObject, said: Refusal) -> None:
        if await write_status(self._kube, SAGAS, watched.raw, said.fields(watched.status), said.conditions):
            metrics.STATUS_WRITES.labels("Saga").inc()


def is_finished(watched: WatchedObject) -> bool:
    """Nothing is left to do for this Saga but to remove it one day."""
    return watched.status.get("phase") in TERMINAL


def spec_if_readable(watched: WatchedObject) -> SagaSpec | None:
    """The spec of a Saga for which nothing is left to do but to remove it: a fault in it holds nothing up."""
    try:
        return parse_saga(watched.spec_as_written)
    except SpecError:
        return None
