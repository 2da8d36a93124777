"""Replica objects: each gets a worker of its own, and a status that shows what the worker reports."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from kompensa.cluster.conditions import Condition, working
from kompensa.cluster.kube import Kube, RefusedError
from kompensa.cluster.replica_deployment import ReplicaWorker, replica_document, worker_objects
from kompensa.cluster.replica_status import replica_conditions, replica_fields, steady
from kompensa.cluster.resources import DEPLOYMENTS, REPLICAS, Object
from kompensa.cluster.secrets import SecretError, SecretReference, read_keys
from kompensa.cluster.status_writer import status_of
from kompensa.cluster.worker_client import WorkerClient, WorkerUnreachableError
from kompensa.cluster.worker_site import WorkerSite
from kompensa.handlers.kind import Kind
from kompensa.handlers.watched_object import WatchedObject
from kompensa.model.parsing import SpecError, convert_spec
from kompensa_cdc.replicas.spec import InvalidReplicaError, replica_from_object

FIELD_MANAGER = "kompensa-operator"
POLL_SECONDS = 5.0
APPLY_EVERY_SECONDS = 600.0
"""The worker's objects are applied again now and then: they may have been changed by hand."""
APPLY_WHEN_SILENT_SECONDS = 30.0
NUMBERS_EVERY_SECONDS = 10.0


class _Target(msgspec.Struct, frozen=True, rename="camel"):
    database_secret_ref: SecretReference


class _Spec(msgspec.Struct, frozen=True):
    """The operator's own part of the spec; the worker's part is read by `replica_from_object`."""

    target: _Target


@dataclass(slots=True)
class _Known:
    """This process's memory of one Replica; a restart costs one apply."""

    generation: int = 0
    applied_at: float = 0.0
    written_at: float = 0.0


class Replicas(Kind[ReplicaWorker]):
    """Keeps one worker for each Replica and passes on how it is."""

    resource = REPLICAS

    def __init__(self, kube: Kube, workers: WorkerClient, site: WorkerSite) -> None:
        super().__init__(kube)
        self._workers = workers
        self._site = site
        self._known: dict[str, _Known] = {}

    def read_spec(self, watched: WatchedObject) -> ReplicaWorker:
        return worker_of(watched)

    async def reconcile(self, watched: WatchedObject, spec: ReplicaWorker, attempt: int) -> float:
        await self._keep_worker(watched, spec)
        try:
            answer = await self._workers.status(spec.namespace, spec.name)
        except WorkerUnreachableError as error:
            await self.say(watched, {}, await self._why_silent(spec, error))
        else:
            await self.say(watched, replica_fields(answer), replica_conditions(answer))
        return POLL_SECONDS

    async def finalize(self, watched: WatchedObject) -> bool:
        """Leave the worker as it is: the garbage collector removes its objects with the Replica that owns them."""
        return True

    async def forget(self, watched: WatchedObject) -> None:
        self._known.pop(watched.uid, None)

    async def say(self, watched: WatchedObject, fields: Object, said: Iterable[Condition]) -> None:
        """Write what is news; numbers alone at most every NUMBERS_EVERY_SECONDS."""
        said, known, now = tuple(said), self._known_of(watched), time.monotonic()
        wanted = status_of(watched.raw, fields, said, datetime.now(UTC))
        if steady(wanted) != steady(watched.status) or now - known.written_at >= NUMBERS_EVERY_SECONDS:
            known.written_at = now
            await super().say(watched, fields, said)

    def _known_of(self, watched: WatchedObject) -> _Known:
        return self._known.setdefault(watched.uid, _Known())

    async def _keep_worker(self, watched: WatchedObject, worker: ReplicaWorker) -> None:
        known, silent = self._known_of(watched), watched.status.get("lagRecords") is None
        every = APPLY_WHEN_SILENT_SECONDS if silent else APPLY_EVERY_SECONDS
        if known.generation == watched.generation and time.monotonic() - known.applied_at < every:
            return
        for resource, body in worker_objects(worker, self._site):
            await self._kube.apply(resource, worker.namespace, body, manager=FIELD_MANAGER)
        known.generation, known.applied_at = watched.generation, time.monotonic()

    async def _why_silent(self, worker: ReplicaWorker, error: WorkerUnreachableError) -> tuple[Condition, ...]:
        """The state of its Deployment, and whether the Secret exists that its pod needs to start.

        Other causes, for example a missing image, are in the pod's events.
        """
        deployment = await self._kube.get(DEPLOYMENTS, worker.namespace, worker.name)
        available = int((deployment.get("status") or {}).get("availableReplicas") or 0)
        if available:
            return working("WorkerUnreachable", str(error))
        with suppress(RefusedError):  # rbac.secretNames may leave it out
            try:
                keys = worker.secret_keys.values()
                await read_keys(self._kube, worker.namespace, worker.database.name, keys)
            except SecretError as missing:
                return working("SecretNotFound", f"{missing} (spec.target.databaseSecretRef.keys can name other keys)")
        return working(
            "WorkerUnreachable",
            f"the worker is not running yet: deployment/{worker.name} has no available pod; if it stays so: "
            f"kubectl -n {worker.namespace} describe pod -l kompensa.dev/replica={worker.replica}",
        )


def worker_of(watched: WatchedObject) -> ReplicaWorker:
    """The worker that a Replica asks for.

    Raises
    ------
    SpecError
        Naming each field that is wrong.
    """
    try:
        replica_from_object(watched.raw)
    except InvalidReplicaError as error:
        raise SpecError(str(error)) from error
    spec = convert_spec(watched.spec_as_written, _Spec)
    return ReplicaWorker(
        namespace=watched.namespace,
        replica=watched.name,
        uid=watched.uid,
        document=replica_document(watched.namespace, watched.name, watched.spec_as_written),
        database=spec.target.database_secret_ref,
    )
