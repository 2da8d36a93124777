"""SagaDefinition objects: the engine checks them and keeps each change as a revision of its own."""

from collections.abc import Callable, Mapping
from typing import Any

from kompensa.client.engine_client import EngineClient, EngineProblemError, EngineUnreachableError
from kompensa.cluster.conditions import ready, stalled
from kompensa.cluster.kube import Kube
from kompensa.cluster.resources import DEFINITIONS
from kompensa.handlers.kind import PATIENCE, WAITING_FOR_ENGINE, Kind
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError

REPEAT = 300.0
# The fault may be a participant that is not there yet; its arrival wakes the definition too.
LINT_RETRY = 15.0


class Definitions(Kind):
    """Keeps the engine's definitions as their objects say. Runs keep the revision they started with."""

    resource = DEFINITIONS

    def __init__(self, kube: Kube, engine: EngineClient, *, on_ready: Callable[[str, str], None]) -> None:
        """`on_ready` is called with namespace and name: Sagas may have waited for this definition."""
        super().__init__(kube)
        self._engine = engine
        self._on_ready = on_ready

    async def reconcile(self, seen: WatchedObject, attempt: int) -> float:
        last = {"revision": seen.status.get("revision")}
        try:
            revision = await self._engine.put_definition(seen.namespace, seen.name, seen.spec, uid=seen.uid)
        except EngineProblemError as problem:
            await self.say(seen, last, stalled("LintFailed", lint_message(problem)))
            return LINT_RETRY
        except EngineUnreachableError as error:
            if attempt >= PATIENCE:
                await self.say(seen, last, WAITING_FOR_ENGINE)
            raise RetryLaterError(str(error)) from error
        await self.say(seen, {"revision": revision}, ready("Accepted", f"new sagas use revision {revision}"))
        self._on_ready(seen.namespace, seen.name)
        return REPEAT

    async def forget(self, seen: WatchedObject) -> None:
        try:
            await self._engine.delete_definition(seen.namespace, seen.name, uid=seen.uid)
        except EngineUnreachableError as error:
            raise RetryLaterError(str(error)) from error

    def participant_changed(self, namespace: str, participant: str) -> None:
        """Look again at the definitions that call this participant.

        They may have failed their check without it, and what it declares (idempotency, time-out) is part of a
        definition's revision.
        """
        for key, seen in self.queue.items():
            if seen.namespace == namespace and participant in participants_of(seen.spec):
                self.queue.wake(key)


def participants_of(spec: Mapping[str, Any]) -> frozenset[str]:
    """The names of the participants that a definition calls."""
    return frozenset(str(step.get("participantRef", {}).get("name")) for step in spec.get("steps") or [])


def lint_message(problem: EngineProblemError) -> str:
    """All findings as one text, a line each, as `kubectl describe` shows it."""
    findings = [str(finding) for finding in problem.members.get("findings") or []]
    return "\n".join(findings) if findings else problem.detail
