"""Participant objects: the operator gives the engine a service's URL and the bearer token for it."""

from collections.abc import Callable

from kompensa.client.engine_client import EngineClient, EngineProblemError, EngineUnreachableError
from kompensa.cluster.conditions import ready, stalled, working
from kompensa.cluster.kube import Kube
from kompensa.cluster.resources import PARTICIPANTS
from kompensa.cluster.secrets import SecretError, read_key
from kompensa.handlers.kind import PATIENCE, WAITING_FOR_ENGINE, Kind
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError

# Participants are put again now and then: a journal restored from a backup may not know them. A token may be new, and
# Secrets are not watched: the right to watch them is one to read them all.
REPEAT = 300.0
TOKEN_REPEAT = 60.0
SECRET_RETRY = 10.0


class Participants(Kind):
    """Keeps the engine's participants as their objects say."""

    resource = PARTICIPANTS

    def __init__(self, kube: Kube, engine: EngineClient, *, on_change: Callable[[str, str], None]) -> None:
        """`on_change` is called with namespace and name once the engine knows a participant's new spec, or none."""
        super().__init__(kube)
        self._engine = engine
        self._on_change = on_change
        self._known: dict[str, tuple[str, int]] = {}

    async def reconcile(self, seen: WatchedObject, attempt: int) -> float:
        again = TOKEN_REPEAT if seen.spec.get("tokenSecretRef") else REPEAT
        try:
            token = await self._token(seen)
            await self._engine.put_participant(seen.namespace, seen.name, seen.spec, token, uid=seen.uid)
        except SecretError as error:
            await self.say(seen, {}, working("SecretNotFound", str(error)))
            return SECRET_RETRY
        except EngineProblemError as problem:
            await self.say(seen, {}, stalled("SpecInvalid", problem.detail))
            return again
        except EngineUnreachableError as error:
            if attempt >= PATIENCE:
                await self.say(seen, {}, WAITING_FOR_ENGINE)
            raise RetryLaterError(str(error)) from error
        await self.say(seen, {}, ready("Known", f"the engine calls {seen.spec.get('url')}"))
        if self._known.get(seen.key) != (seen.uid, seen.generation):
            self._known[seen.key] = (seen.uid, seen.generation)
            self._on_change(seen.namespace, seen.name)
        return again

    async def forget(self, seen: WatchedObject) -> None:
        self._known.pop(seen.key, None)
        try:
            await self._engine.delete_participant(seen.namespace, seen.name, uid=seen.uid)
        except EngineUnreachableError as error:
            raise RetryLaterError(str(error)) from error
        self._on_change(seen.namespace, seen.name)

    async def _token(self, seen: WatchedObject) -> str | None:
        reference = seen.spec.get("tokenSecretRef")
        if not reference:
            return None
        return await read_key(self._kube, seen.namespace, reference["name"], reference.get("key", "token"))
