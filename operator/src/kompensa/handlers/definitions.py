"""SagaDefinition objects: the engine checks them and keeps each change as a revision of its own."""

from collections.abc import Callable

from kompensa.client.engine_client import EngineClient, EngineProblemError, EngineUnreachableError
from kompensa.cluster.conditions import ready, stalled
from kompensa.cluster.kube import Kube
from kompensa.cluster.resources import DEFINITIONS
from kompensa.handlers.kind import ENGINE_PATIENCE_ATTEMPTS, WAITING_FOR_ENGINE, Kind
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError
from kompensa.model.parsing import parse_definition
from kompensa.model.specs import SagaDefinitionSpec

REPEAT_SECONDS = 300.0
LINT_RETRY_SECONDS = 15.0
"""The fault may be a participant that is not there yet; its arrival wakes the definition too."""


class Definitions(Kind[SagaDefinitionSpec]):
    """Keeps the engine's definitions as their objects say. Runs keep the revision they started with."""

    resource = DEFINITIONS
    spec_rejected = "LintFailed"

    def __init__(self, kube: Kube, engine: EngineClient, *, on_ready: Callable[[str, str], None]) -> None:
        """`on_ready` is called with namespace and name: Sagas may have waited for this definition."""
        super().__init__(kube)
        self._engine = engine
        self._on_ready = on_ready
        self._participants: dict[str, frozenset[str]] = {}
        """By key, the names of the participants that a definition calls."""

    def read_spec(self, watched: WatchedObject) -> SagaDefinitionSpec:
        return parse_definition(watched.spec_as_written)

    async def reconcile(self, watched: WatchedObject, spec: SagaDefinitionSpec, attempt: int) -> float:
        self._participants[watched.key] = participants_of(spec)
        last = {"revision": watched.status.get("revision")}
        try:
            revision = await self._put(watched)
        except EngineProblemError as problem:
            await self.say(watched, last, stalled("LintFailed", lint_message(problem)))
            return LINT_RETRY_SECONDS
        except EngineUnreachableError as error:
            if attempt >= ENGINE_PATIENCE_ATTEMPTS:
                await self.say(watched, last, WAITING_FOR_ENGINE)
            raise RetryLaterError(str(error)) from error
        await self.say(watched, {"revision": revision}, ready("Accepted", f"new sagas use revision {revision}"))
        self._on_ready(watched.namespace, watched.name)
        return REPEAT_SECONDS

    async def forget(self, watched: WatchedObject) -> None:
        self._participants.pop(watched.key, None)
        try:
            await self._engine.delete_definition(watched.namespace, watched.name, uid=watched.uid)
        except EngineUnreachableError as error:
            raise RetryLaterError(str(error)) from error

    def participant_changed(self, namespace: str, participant: str) -> None:
        """Look again at the definitions that call this participant.

        They may have failed their check without it, and what it declares (idempotency, time-out) is part of a
        definition's revision.
        """
        for key, watched in self.queue.items():
            if watched.namespace == namespace and participant in self._participants.get(key, ()):
                self.queue.wake(key)

    async def _put(self, watched: WatchedObject) -> str:
        return await self._engine.put_definition(
            watched.namespace, watched.name, watched.spec_as_written, uid=watched.uid
        )


def participants_of(spec: SagaDefinitionSpec) -> frozenset[str]:
    """The names of the participants that a definition calls."""
    return frozenset(step.participant_ref.name for step in spec.steps)


def lint_message(problem: EngineProblemError) -> str:
    """All findings as one text, a line each, as `kubectl describe` shows it."""
    findings = [str(finding) for finding in problem.members.get("findings") or []]
    return "\n".join(findings) if findings else problem.detail
