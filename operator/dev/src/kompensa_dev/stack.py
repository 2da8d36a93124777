"""The whole system on this machine: what `kompensa dev` and the integration tests start.

The order is that of need only; what does not need each other starts side by side:

    PostgreSQL ─┬─ a service each: migrate, serve ──┐
                ├─ engine ── participants, definitions
                └─ all migrated ────┬─ outboxes ── replica workers
    Kafka ── Connect ───────────────┘

Services that react to events begin to read when the topics are there.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Self, TypeVar

from kompensa.client.engine_client import EngineClient
from kompensa.manifests.apply import Say, apply_documents
from kompensa.manifests.documents import Document, load, of_kind
from kompensa_dev.callers import CallerTokens
from kompensa_dev.capture import Capture
from kompensa_dev.checkout import checkout
from kompensa_dev.connect import ConnectWorker
from kompensa_dev.http import answers_ok
from kompensa_dev.java import libraries
from kompensa_dev.java_archives import archives
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.loopback import at_loopback
from kompensa_dev.options import StackOptions, choose_ports
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.postgres import PostgresServer
from kompensa_dev.process import Process, Program
from kompensa_dev.replicas import ReplicaWorker, start_replica
from kompensa_dev.run import Run
from kompensa_dev.shop import SERVICES, create_logins, migrate_program, serve_program

READY_SECONDS = 60.0
MIGRATE_SECONDS = 60.0
MANIFESTS = "manifests/shop"
JOURNAL = "kompensa"
# More threads than there are things to start: each may wait for what it needs.
_STARTERS = 16
_Started = TypeVar("_Started")


class Stack:
    """Everything that runs. Its processes may be killed and started again; `stop` ends them all."""

    def __init__(self, run: Run, options: StackOptions, say: Say) -> None:
        self.run = run
        self.options = options
        ports = Ports()
        self.ports = choose_ports(ports, options.port_base)
        self.moved_ports = ports.moved
        self.documents = load([checkout() / MANIFESTS, *options.files])
        self.services: dict[str, Process] = {}
        self.replicas: dict[str, ReplicaWorker] = {}
        self.kafka: KafkaBroker | None = None
        self.connect: ConnectWorker | None = None
        self.capture: Capture | None = None
        self._engine: Process | None = None
        self._say = say
        self.postgres = PostgresServer(run)
        self.logins = create_logins(self.postgres, options.isolation)
        self.journal = self.postgres.create_database(JOURNAL)
        self.callers = CallerTokens.create(run.subfolder("callers"))

    @classmethod
    def start(cls, run: Run, options: StackOptions, say: Say) -> Self:
        """Start everything and wait until all of it is ready.

        Raises
        ------
        DevError
            When a part does not come up; everything started so far has then been ended.
        """
        pool = ThreadPoolExecutor(_STARTERS, thread_name_prefix="start")
        try:
            stack = cls(run, options, say)
            stack._bring_up(pool)
        except BaseException:
            # Ended first: threads that wait for a program see it end and give up.
            run.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return stack

    def stop(self) -> None:
        if self.capture:
            self.capture.stop()
        self.run.close()

    @property
    def engine(self) -> Process:
        if self._engine is None:
            raise RuntimeError("the engine was never started")
        return self._engine

    def start_engine(self) -> None:
        """Start the engine (again) on its journal and wait until it is ready."""
        environment = {
            "KOMPENSA_JOURNAL_URL": self.journal.url,
            "KOMPENSA_API_HOST": HOST,
            "KOMPENSA_API_PORT": str(self.ports.api),
            "KOMPENSA_STATUS": "none",
        }
        argv = [sys.executable, "-m", "kompensa", "engine", "serve"]
        process = self.run.start(Program(name="engine", argv=argv, environment=environment, tier=2))
        self._engine = process
        process.wait_ready(
            lambda: answers_ok(f"{self.ports.api_url}/readyz"), what="/readyz answering ok", timeout=READY_SECONDS
        )

    def start_service(self, service: str) -> None:
        """Start a service (again) and wait until it is ready."""
        port, url = self.ports.services[service], self.ports.urls[service]
        callers = self.callers.folder / service
        kafka = self.ports.bootstrap if self.options.backbone else ""
        program = serve_program(
            service, self.logins, callers=callers, port=port, faults=self.options.faults, kafka=kafka
        )
        process = self.services[service] = self.run.start(program)
        process.wait_ready(lambda: answers_ok(f"{url}/readyz"), what="/readyz answering ok", timeout=READY_SECONDS)

    def apply(self, places: Sequence[Path] = ()) -> None:
        """Apply participants, definitions and sagas: the stack's own YAML, or that of `places`."""
        documents = load(places) if places else self.documents
        local = [at_loopback(d, self.ports.urls) if d.kind == "Participant" else d for d in documents]
        asyncio.run(self._apply(local if places else [d for d in local if d.kind != "Saga"]))

    async def _apply(self, documents: Sequence[Document]) -> None:
        async with EngineClient.connect(self.ports.api_url, None) as client:
            await apply_documents(client, documents, self._say, token_of=self.callers.for_participant)

    def _bring_up(self, pool: ThreadPoolExecutor) -> None:
        migrated = {service: pool.submit(self._migrate, service) for service in SERVICES}
        parts = [pool.submit(_after(migrated[service], self.start_service), service) for service in SERVICES]
        parts.append(pool.submit(self._start_engine_with_definitions))
        if self.options.backbone:
            parts.append(pool.submit(self._start_data_side, pool, migrated))
        done, _ = wait(parts, return_when=FIRST_EXCEPTION)
        for part in done:
            part.result()

    def _migrate(self, service: str) -> None:
        self.run.run_to_end(migrate_program(service, self.logins), timeout=MIGRATE_SECONDS)

    def _start_engine_with_definitions(self) -> None:
        self.start_engine()
        self.apply()

    def _start_data_side(self, pool: ThreadPoolExecutor, migrated: dict[str, Future[None]]) -> None:
        jars = libraries()
        flags = archives(jars)
        self.kafka = KafkaBroker(self.run, jars, archive=flags.kafka, port=self.ports.kafka)
        self.connect = ConnectWorker(self.run, jars, self.kafka, archive=flags.connect, port=self.ports.connect)
        for future in migrated.values():
            future.result()
        self.capture = Capture(self.kafka, self.connect, self.logins, self._say)
        self.capture.start(of_kind(self.documents, "Outbox"))
        list(pool.map(self._start_replica, of_kind(self.documents, "Replica")))

    def _start_replica(self, document: Document) -> None:
        if self.kafka is None:
            raise RuntimeError("replicas need Kafka")
        self.replicas[document.name] = start_replica(self.run, document, self.logins, self.kafka)


def _after(need: Future[None], start: Callable[[str], _Started]) -> Callable[[str], _Started]:
    def wait_and_start(name: str) -> _Started:
        need.result()
        return start(name)

    return wait_and_start
