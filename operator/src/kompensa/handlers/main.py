"""The operator's composition: connect, take the lease, watch, and work until stopped."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import kopf

from kompensa.client.engine_client import EngineClient
from kompensa.cluster.kube import Kube
from kompensa.cluster.lease import DURATION_SECONDS, Lease
from kompensa.cluster.resources import SAGAS
from kompensa.cluster.secrets import CaptureSecret
from kompensa.cluster.worker_client import WorkerClient
from kompensa.cluster.worker_site import WorkerSite
from kompensa.handlers import metrics
from kompensa.handlers.definitions import Definitions
from kompensa.handlers.kind import AnyKind, wake_objects
from kompensa.handlers.namespaces import WatchedNamespaces
from kompensa.handlers.outboxes import CaptureSite, Outboxes
from kompensa.handlers.participants import Participants
from kompensa.handlers.probes import Health, ProbeServer, overdue_finding, queue_finding
from kompensa.handlers.replicas import Replicas
from kompensa.handlers.sagas import Sagas
from kompensa.handlers.settings import OperatorSettings
from kompensa.handlers.startup import wait_for_kinds, watch_registry, watch_settings
from kompensa.handlers.sweep import Sweep
from kompensa.handlers.ttl import FinishedSagas
from kompensa.handlers.vanished import Vanished
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import WorkQueue
from kompensa_common.logs import log_as_json


def run(settings: OperatorSettings) -> None:
    """Run the operator until SIGINT, SIGTERM or the loss of its lease.

    On asyncio's own loop: when the API server died under open TLS connections, uvloop was seen to take a new
    connection's descriptor for an old one's, which ended the watches. The operator waits more than it works.
    """
    log_as_json(settings.log_level, libraries=settings.log_level)
    asyncio.run(operate(settings))


async def operate(settings: OperatorSettings) -> None:
    """Stand by until the lease is ours, then watch and work."""
    health = Health()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(ProbeServer(health, host=settings.probe_host, port=settings.probe_port))
        kube = await stack.enter_async_context(Kube.connect())
        engine = await stack.enter_async_context(EngineClient.connect(settings.engine_url, settings.engine_token))
        workers = await stack.enter_async_context(WorkerClient.connect(settings.replica_url))
        await wait_for_kinds(kube)
        lease = Lease(kube, namespace=settings.lease_namespace, name=settings.lease_name, identity=settings.identity)
        lost = await stack.enter_async_context(lease.held())
        health.watch_over(
            "lease", overdue_finding("the last renewal", lambda: lease.renewed_at or 0.0, DURATION_SECONDS * 2)
        )
        health.active = True
        metrics.ACTIVE.set(1)
        await _watch(settings, compose(settings, kube, engine, workers), health, lost)


@dataclass(frozen=True)
class Parts:
    """The handlers of all kinds, wired to each other."""

    sagas: Sagas
    kinds: tuple[AnyKind, ...]
    finished: FinishedSagas
    sweep: Sweep
    namespaces: WatchedNamespaces

    @property
    def queues(self) -> list[WorkQueue[WatchedObject]]:
        return [self.sagas.queue, *(kind.queue for kind in self.kinds)]


def compose(settings: OperatorSettings, kube: Kube, engine: EngineClient, workers: WorkerClient) -> Parts:
    """Wire the handlers: a participant may free a definition, a definition may free Sagas."""
    finished = FinishedSagas(kube)
    sagas = Sagas(kube, engine, on_finished=finished.note)
    definitions = Definitions(kube, engine, on_ready=sagas.definition_ready)
    participants = Participants(kube, engine, on_change=definitions.participant_changed)
    outboxes = Outboxes(kube, capture_site(settings, kube))
    site = WorkerSite(
        image=settings.replica_image,
        kafka=settings.kafka,
        pod=settings.replica_pod,
        tracing_endpoint=settings.tracing_endpoint,
    )
    replicas = Replicas(kube, workers, site)
    kinds = (participants, definitions, outboxes, replicas)

    def wake(namespace: str | None) -> None:
        for kind in kinds:
            kind.wake(namespace)
        wake_objects(sagas.queue, namespace)

    namespaces = WatchedNamespaces(settings.namespaces)
    sweep = Sweep(kube, engine, sagas, Vanished(kube, engine, kinds), namespaces, wake=wake)
    return Parts(sagas, kinds, finished, sweep, namespaces)


def capture_site(settings: OperatorSettings, kube: Kube) -> CaptureSite:
    """The site of capture, from the settings."""
    secret = CaptureSecret(
        kube,
        namespace=settings.connect_namespace or settings.lease_namespace,
        name=settings.capture_secret,
        pod_selector=settings.connect_pod_selector,
    )
    return CaptureSite(
        connect_url=settings.connect_url,
        bootstrap=settings.kafka,
        secret=secret if settings.capture_credentials == "Directory" else None,
        folder=settings.capture_folder,
    )


async def _watch(settings: OperatorSettings, parts: Parts, health: Health, lost: asyncio.Event) -> None:
    for queue in parts.queues:
        health.watch_over(queue.name, queue_finding(queue.name, queue.oldest))
    health.watch_over("watch", parts.sweep.finding)
    health.troubles = parts.namespaces.troubles
    offers = {kind.resource: kind.offer for kind in parts.kinds} | {SAGAS: parts.sagas.offer}
    jobs = [*(queue.run() for queue in parts.queues), parts.finished.run(), parts.sweep.run()]
    async with _background(jobs, stop=lost):
        await _until(
            kopf.operator(
                registry=watch_registry(offers),
                settings=watch_settings(),
                clusterwide=not settings.namespaces,
                namespaces=settings.namespaces,
                standalone=True,
            ),
            lost,
        )


async def _until(operator: Coroutine[None, None, None], stop: asyncio.Event) -> None:
    """Run kopf until a signal ends it or `stop` is set; its own stop flag would delay every exit by five seconds."""
    watching = asyncio.create_task(operator, name="watching")
    stopping = asyncio.create_task(stop.wait(), name="stopping")
    try:
        await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            await watching
    finally:
        watching.cancel()
        stopping.cancel()
        await asyncio.gather(watching, stopping, return_exceptions=True)


@asynccontextmanager
async def _background(jobs: Iterable[Coroutine[None, None, None]], *, stop: asyncio.Event) -> AsyncIterator[None]:
    """Jobs that run next to kopf, forever. They start first: kopf cancels every task younger than itself at its end.

    If a job ends, that is a defect: everything stops, and the process is replaced. That is better than an operator that
    looks alive and does half its work.
    """
    tasks = [asyncio.create_task(job) for job in jobs]
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    # Let them start: the tasks that they make in turn must be older than kopf, too.
    await asyncio.sleep(0)
    try:
        yield
        for task in tasks:
            if task.done():
                await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
