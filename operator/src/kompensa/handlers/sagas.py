"""Saga objects: each is a command to the engine, given once and repeated until it is understood.

The engine writes a Saga's status while it runs and when it ends. This handler writes it only if the engine never
accepted the Saga: an unknown definition, an input that does not fit, an idempotency key used twice. The object's uid is
the saga's id, so a repeated request (after a restart, after a lost reply) starts nothing new.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from kompensa.client.engine_client import Ask, EngineClient, EngineProblemError, EngineUnreachableError
from kompensa.cluster.kube import ConflictError, Kube, NotFoundError, RefusedError, UnavailableError
from kompensa.cluster.resources import SAGAS, Object
from kompensa.cluster.saga_refusal import Refusal, pending, refusal, terminated, waiting_for_engine
from kompensa.cluster.status import saga_status
from kompensa.cluster.status_writer import write_status
from kompensa.handlers import metrics
from kompensa.handlers.kind import PATIENCE, REFUSED_RETRY
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError, WorkQueue
from kompensa.model.saga import TERMINAL
from kompensa.model.specs import DeletionPolicy
from kompensa.model.view import SagaView

# Verdicts on the Saga itself. Its spec cannot be changed, so they are final.
FINAL = frozenset(
    {"input-invalid", "input-too-large", "body-too-large", "body-invalid", "not-storable", "idempotency-key-reused"}
)
WORKERS = 16
DEFINITION_RETRY = 15.0
MIRROR_EVERY = 2.0

_NOT_FOUND = 404

# The fields that may change after creation, as the engine last accepted them: suspend, cancel.
Controls = tuple[bool, bool]


class Sagas:
    """Starts, controls and settles the sagas of Saga objects."""

    def __init__(self, kube: Kube, engine: EngineClient, *, on_finished: Callable[[WatchedObject], None]) -> None:
        """`on_finished` is called with a Saga that has ended, each time it is seen: its TTL may have changed."""
        self._kube = kube
        self._engine = engine
        self._on_finished = on_finished
        self._accepted: dict[str, Controls] = {}
        self._waiting: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self.queue: WorkQueue[WatchedObject] = WorkQueue("sagas", self._work, workers=WORKERS)
        self.delivered: dict[str, str] = {}
        """The namespaces of the objects that the watch has delivered, by uid."""

    async def offer(self, seen: WatchedObject) -> None:
        """Take what the watch delivered; most events are the engine's own status writes and need no work."""
        metrics.EVENTS.labels("Saga").inc()
        if seen.deleted:
            self.delivered.pop(seen.uid, None)
            self._on_finished(seen)
        else:
            self.delivered[seen.uid] = seen.namespace
        if is_finished(seen):
            self._finished(seen)
        elif seen.deleted or self._accepted.get(seen.uid) != controls(seen):
            known = self.queue.item(seen.uid)
            news = known is None or (known.deleted, controls(known)) != (seen.deleted, controls(seen))
            await self.queue.offer(seen.uid, seen, wake=news)

    async def repeat(self, seen: WatchedObject) -> None:
        """Start again what the engine should know, and may not: it answers with the saga that it has, or makes it."""
        self._accepted.pop(seen.uid, None)
        await self.offer(seen)

    def accepted(self) -> frozenset[str]:
        """The uids of Sagas that the engine has taken and whose end has not been seen."""
        return frozenset(self._accepted)

    def definition_ready(self, namespace: str, name: str) -> None:
        """Start the Sagas that waited for this definition."""
        for uid in self._waiting.pop((namespace, name), ()):
            self.queue.wake(uid)

    def _finished(self, seen: WatchedObject) -> None:
        self._accepted.pop(seen.uid, None)
        self.queue.drop(seen.uid)
        if not seen.deleted:
            self._on_finished(seen)

    async def _work(self, seen: WatchedObject, attempt: int) -> float | None:
        try:
            if seen.deleted:
                await self._settle(seen)
                return None
            return await (self._control(seen) if seen.uid in self._accepted else self._start(seen))
        except (EngineUnreachableError, EngineProblemError) as error:
            # A problem that is not about this Saga (for example a wrong URL) does not reject it.
            if attempt >= PATIENCE and not seen.deleted and not seen.status.get("phase"):
                await self._say(seen, waiting_for_engine())
            raise RetryLaterError(str(error)) from error
        except UnavailableError as error:
            raise RetryLaterError(str(error), after=error.retry_after) from error
        except RefusedError as error:
            raise RetryLaterError(str(error), after=REFUSED_RETRY.pause(attempt + 1)) from error

    async def _start(self, seen: WatchedObject) -> float | None:
        if seen.being_deleted and await self._running(seen) is None:
            return None  # it has not begun, and its object is being deleted
        try:
            view = msgspec.convert(await self._engine.start_saga(seen.namespace, start_request(seen)), SagaView)
        except EngineProblemError as problem:
            running = await self._running(seen)
            if running is None:
                return await self._refused(seen, problem)
            view = running
        if view.id != seen.uid:
            return await self._mirror(seen, view)
        self._accepted[seen.uid] = controls(seen)
        for what in overdue(seen, view.phase):
            await self._ask(seen, what)
        return None

    async def _running(self, seen: WatchedObject) -> SagaView | None:
        """The saga of this object if the engine has it: a refusal to start it again is then no verdict on it.

        Its definition may have been deleted, or made stricter, since it was started.
        """
        try:
            return msgspec.convert(await self._engine.saga(seen.uid), SagaView)
        except EngineProblemError as problem:
            if problem.status != _NOT_FOUND:
                raise
            return None

    async def _refused(self, seen: WatchedObject, problem: EngineProblemError) -> float | None:
        if problem.slug in FINAL:
            await self._say(seen, terminated(refusal(problem)))
            return None
        if problem.slug != "unknown-definition":
            raise problem
        definition = seen.spec["definitionRef"]["name"]
        known = await self._engine.definitions(seen.namespace)
        self._waiting[(seen.namespace, definition)].add(seen.uid)
        await self._say(seen, pending(definition, seen.namespace, known))
        return DEFINITION_RETRY

    async def _mirror(self, seen: WatchedObject, view: SagaView) -> float | None:
        """Its idempotency key belongs to another run with the same input: this object shows that one, to its end."""
        status = mirror_status(seen, view)
        if status != seen.status:
            with suppress(NotFoundError, ConflictError):
                await self._kube.set_status(SAGAS, seen.namespace, seen.name, seen.uid, status)
                metrics.STATUS_WRITES.labels("Saga").inc()
                seen.raw["status"] = status
        return None if view.phase in TERMINAL else MIRROR_EVERY

    async def _control(self, seen: WatchedObject) -> float | None:
        """Pass on the changes since the engine last accepted the object."""
        was_suspended, was_cancelled = self._accepted[seen.uid]
        suspend, cancel = controls(seen)
        if cancel and not was_cancelled:
            await self._ask(seen, "cancel")
        if suspend != was_suspended:
            await self._ask(seen, "suspend" if suspend else "resume")
        self._accepted[seen.uid] = (suspend, cancel)
        return None

    async def _ask(self, seen: WatchedObject, what: Ask) -> None:
        reason = "its Saga object is being deleted" if what == "cancel" and seen.being_deleted else ""
        try:
            await self._engine.ask(seen.uid, what, reason=reason, generation=seen.generation)
        except EngineProblemError as problem:
            if problem.slug == "unknown-saga":
                # A journal restored from a backup: the next attempt starts the saga again.
                self._accepted.pop(seen.uid, None)
            if problem.slug != "saga-ended":
                raise

    async def _settle(self, seen: WatchedObject) -> None:
        await self._engine.object_deleted(seen.uid, deletion_policy(seen.spec))
        self._accepted.pop(seen.uid, None)
        for waiting in self._waiting.values():
            waiting.discard(seen.uid)
        metrics.SETTLED.inc()

    async def _say(self, seen: WatchedObject, said: Refusal) -> None:
        if await write_status(self._kube, SAGAS, seen.raw, said.fields(seen.status), said.conditions):
            metrics.STATUS_WRITES.labels("Saga").inc()


def is_finished(seen: WatchedObject) -> bool:
    """Nothing is left to do for this Saga but to remove it one day."""
    return seen.status.get("phase") in TERMINAL


def controls(seen: WatchedObject) -> Controls:
    """Whether to hold, and whether to undo it.

    If another finalizer, or a deletion in the foreground, keeps the object, its saga is undone like a cancelled one:
    while the object exists it shows the progress.
    """
    undone = seen.being_deleted and deletion_policy(seen.spec) == "Compensate"
    return bool(seen.spec.get("suspend")), bool(seen.spec.get("cancel")) or undone


def mirror_status(seen: WatchedObject, view: SagaView) -> Object:
    """Another object's saga as the status of this one. If this one is to be held or undone, name the right one."""
    status = saga_status(view, seen.generation)
    if not (seen.spec.get("suspend") or seen.spec.get("cancel")):
        return status
    told = f"shows the run of {view.namespace}/{view.name or view.id}; suspend or cancel that one"
    status["message"] = f"{status['message']}; {told}" if status.get("message") else told
    for condition in status["conditions"]:
        if condition["type"] == "Ready":
            condition["message"] = f"{condition['message']}; {told}" if condition["message"] else told
    return status


def deletion_policy(spec: dict[str, Any]) -> DeletionPolicy:
    return "Orphan" if spec.get("deletionPolicy") == "Orphan" else "Compensate"


def start_request(seen: WatchedObject) -> Object:
    """The body that starts this Saga at the engine."""
    optional = {
        name: seen.spec[name]
        for name in ("idempotencyKey", "ttlSecondsAfterFinished")
        if seen.spec.get(name) is not None
    }
    suspend, cancel = controls(seen)
    return {
        "id": seen.uid,
        "name": seen.name,
        "object": {"name": seen.name, "uid": seen.uid, "generation": seen.generation},
        "definition": seen.spec["definitionRef"]["name"],
        "input": seen.spec.get("input") or {},
        "deletionPolicy": deletion_policy(seen.spec),
        "suspend": suspend,
        "cancel": cancel,
        **optional,
    }


def overdue(seen: WatchedObject, phase: str) -> list[Ask]:
    """The requests that a saga in `phase` missed because the operator was away when its object changed."""
    suspend, cancel = controls(seen)
    if cancel and phase in ("Pending", "Running", "Suspended"):
        return ["cancel"]
    if suspend and phase in ("Pending", "Running"):
        return ["suspend"]
    if not suspend and phase == "Suspended":
        return ["resume"]
    return []
