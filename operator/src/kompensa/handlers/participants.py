"""Participant objects: the operator gives the engine a service's URL and the bearer token for it."""

from collections.abc import Callable

from kompensa.client.engine_client import EngineClient, EngineProblemError, EngineUnreachableError
from kompensa.cluster.conditions import ready, stalled, working
from kompensa.cluster.kube import Kube
from kompensa.cluster.resources import PARTICIPANTS
from kompensa.cluster.secrets import SecretError, read_key
from kompensa.handlers.kind import ENGINE_PATIENCE_ATTEMPTS, WAITING_FOR_ENGINE, Kind
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError
from kompensa.model.parsing import parse_participant
from kompensa.model.specs import ParticipantSpec, SecretKeyReference

REPEAT_SECONDS = 300.0
"""Participants are put again now and then: a journal restored from a backup may not know them."""
TOKEN_REPEAT_SECONDS = 60.0
"""A token may be new, and Secrets are not watched: the right to watch them is one to read them all."""
SECRET_RETRY_SECONDS = 10.0


class Participants(Kind[ParticipantSpec]):
    """Keeps the engine's participants as their objects say."""

    resource = PARTICIPANTS

    def __init__(self, kube: Kube, engine: EngineClient, *, on_change: Callable[[str, str], None]) -> None:
        """`on_change` is called with namespace and name once the engine knows a participant's new spec, or none."""
        super().__init__(kube)
        self._engine = engine
        self._on_change = on_change
        self._known: dict[str, tuple[str, int]] = {}

    def read_spec(self, watched: WatchedObject) -> ParticipantSpec:
        return parse_participant(watched.spec_as_written)

    async def reconcile(self, watched: WatchedObject, spec: ParticipantSpec, attempt: int) -> float:
        again = TOKEN_REPEAT_SECONDS if spec.token_secret_ref else REPEAT_SECONDS
        try:
            await self._put(watched, await self._token(watched.namespace, spec.token_secret_ref))
        except SecretError as error:
            await self.say(watched, {}, working("SecretNotFound", str(error)))
            return SECRET_RETRY_SECONDS
        except EngineProblemError as problem:
            await self.say(watched, {}, stalled("SpecInvalid", problem.detail))
            return again
        except EngineUnreachableError as error:
            if attempt >= ENGINE_PATIENCE_ATTEMPTS:
                await self.say(watched, {}, WAITING_FOR_ENGINE)
            raise RetryLaterError(str(error)) from error
        await self.say(watched, {}, ready("Known", f"the engine calls {spec.url}"))
        self._report_change(watched)
        return again

    async def forget(self, watched: WatchedObject) -> None:
        self._known.pop(watched.key, None)
        try:
            await self._engine.delete_participant(watched.namespace, watched.name, uid=watched.uid)
        except EngineUnreachableError as error:
            raise RetryLaterError(str(error)) from error
        self._on_change(watched.namespace, watched.name)

    def _report_change(self, watched: WatchedObject) -> None:
        if self._known.get(watched.key) != (watched.uid, watched.generation):
            self._known[watched.key] = (watched.uid, watched.generation)
            self._on_change(watched.namespace, watched.name)

    async def _put(self, watched: WatchedObject, token: str | None) -> None:
        await self._engine.put_participant(
            watched.namespace, watched.name, watched.spec_as_written, token, uid=watched.uid
        )

    async def _token(self, namespace: str, reference: SecretKeyReference | None) -> str | None:
        if reference is None:
            return None
        return await read_key(self._kube, namespace, reference.name, reference.key)
