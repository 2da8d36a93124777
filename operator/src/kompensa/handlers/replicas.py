"""Replica objects: each gets a worker of its own, and a status that says what the worker says."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from kompensa.cluster.conditions import Condition, stalled, working
from kompensa.cluster.kube import Kube, RefusedError
from kompensa.cluster.replica_deployment import secret_keys, worker_name, worker_objects
from kompensa.cluster.replica_status import replica_conditions, replica_fields, steady
from kompensa.cluster.resources import DEPLOYMENTS, REPLICAS, Object
from kompensa.cluster.secrets import SecretError, read_key
from kompensa.cluster.status_writer import status_of
from kompensa.cluster.worker_client import WorkerClient, WorkerUnreachableError
from kompensa.cluster.worker_site import WorkerSite
from kompensa.handlers.kind import Kind
from kompensa.handlers.watched_object import WatchedObject
from kompensa_cdc.replicas.spec import InvalidReplicaError, replica_from_object

MANAGER = "kompensa-operator"
POLL = 5.0
SPEC_RETRY = 60.0
# The worker's objects are applied again now and then, and soon if it does not answer: they may have changed.
APPLY_EVERY = 600.0
APPLY_WHEN_SILENT = 30.0
NUMBERS_EVERY = 10.0


@dataclass(slots=True)
class _Known:
    """This process's memory of one Replica; a restart costs one apply."""

    generation: int = 0
    applied_at: float = 0.0
    written_at: float = 0.0


class Replicas(Kind):
    """Keeps one worker for each Replica and passes on how it is."""

    resource = REPLICAS

    def __init__(self, kube: Kube, workers: WorkerClient, site: WorkerSite) -> None:
        super().__init__(kube)
        self._workers = workers
        self._site = site
        self._known: dict[str, _Known] = {}

    async def reconcile(self, seen: WatchedObject, attempt: int) -> float | None:
        if seen.being_deleted:
            return None
        try:
            replica_from_object(seen.raw)
            await self._keep_worker(seen, self._known.setdefault(seen.uid, _Known()))
        except InvalidReplicaError as error:
            await self.say(seen, {}, stalled("SpecInvalid", str(error)))
            return SPEC_RETRY
        await self._pass_on(seen)
        return POLL

    async def forget(self, seen: WatchedObject) -> None:
        """The worker's objects belong to the Replica: the garbage collector takes them along."""
        self._known.pop(seen.uid, None)

    async def say(self, seen: WatchedObject, fields: Object, said: Iterable[Condition]) -> None:
        """Write what is news; numbers alone at most every NUMBERS_EVERY seconds."""
        said, known, now = tuple(said), self._known.setdefault(seen.uid, _Known()), time.monotonic()
        wanted = status_of(seen.raw, fields, said, datetime.now(UTC))
        if steady(wanted) != steady(seen.status) or now - known.written_at >= NUMBERS_EVERY:
            known.written_at = now
            await super().say(seen, fields, said)

    async def _keep_worker(self, seen: WatchedObject, known: _Known) -> None:
        silent = seen.status.get("lagRecords") is None
        every = APPLY_WHEN_SILENT if silent else APPLY_EVERY
        if known.generation == seen.generation and time.monotonic() - known.applied_at < every:
            return
        for resource, body in worker_objects(seen.raw, self._site):
            await self._kube.apply(resource, seen.namespace, body, manager=MANAGER)
        known.generation, known.applied_at = seen.generation, time.monotonic()

    async def _pass_on(self, seen: WatchedObject) -> None:
        try:
            answer = await self._workers.status(seen.namespace, worker_name(seen.name))
        except WorkerUnreachableError as error:
            await self.say(seen, {}, await self._why_silent(seen, error))
            return
        await self.say(seen, replica_fields(answer), replica_conditions(answer))

    async def _why_silent(self, seen: WatchedObject, error: WorkerUnreachableError) -> tuple[Condition, ...]:
        """The state of its Deployment, and whether the Secret exists that its pod needs to start.

        Other causes, for example a missing image, are in the pod's events.
        """
        deployment = await self._kube.get(DEPLOYMENTS, seen.namespace, worker_name(seen.name))
        available = int((deployment.get("status") or {}).get("availableReplicas") or 0)
        if available:
            return working("WorkerUnreachable", str(error))
        secret = seen.spec["target"]["databaseSecretRef"]["name"]
        with suppress(RefusedError):  # rbac.secretNames may leave it out
            try:
                for key in secret_keys(seen.raw).values():
                    await read_key(self._kube, seen.namespace, secret, key)
            except SecretError as missing:
                return working("SecretNotFound", f"{missing} (spec.target.databaseSecretRef.keys can name other keys)")
        return working(
            "WorkerUnreachable",
            f"the worker is not running yet: deployment/{worker_name(seen.name)} has no available pod; if it stays so: "
            f"kubectl -n {seen.namespace} describe pod -l kompensa.dev/replica={seen.name}",
        )
