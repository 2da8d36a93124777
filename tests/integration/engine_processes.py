"""Engines as processes on one journal, as a chart runs them, with leases short enough to watch them end."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kompensa_dev.http import answers_ok
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.process import STOP_SECONDS, Process, Program
from kompensa_dev.run import Run
from tests.support.engine_world import NAMESPACE, definition_spec
from tests.support.http import Answer, call
from tests.support.waiting import eventually

RESTING = ("Succeeded", "Compensated", "InterventionRequired")
LEASE_TTL = "1s"


@dataclass
class EngineProcess:
    """One engine; killed and started again, it keeps its name and port."""

    run: Run
    name: str
    journal_url: str
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        environment = {
            "KOMPENSA_JOURNAL_URL": self.journal_url,
            "KOMPENSA_API_HOST": HOST,
            "KOMPENSA_API_PORT": str(self.port),
            "KOMPENSA_ENGINE_NAME": self.name,
            "KOMPENSA_LEASE_TTL": LEASE_TTL,
            **self.environment,
        }
        argv = [sys.executable, "-m", "kompensa", "engine", "serve"]
        self.process = self.run.start(Program(name=f"engine-{self.name}", argv=argv, environment=environment, tier=3))

    def until_ready(self) -> None:
        assert self.process is not None
        self.process.wait_ready(lambda: answers_ok(f"{self.url}/readyz"), what="/readyz answering ok", timeout=30)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def stop(self) -> None:
        assert self.process is not None
        self.process.stop()

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting for the end."""
        assert self.process is not None
        self.process.ask_to_stop()

    def listens(self) -> bool:
        """Whether its API accepts connections."""
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def exit_status(self) -> int | None:
        """Its exit status when it has ended; None if it had to be killed."""
        assert self.process is not None
        return self.process.wait_for_status(STOP_SECONDS)

    def pause(self) -> None:
        """SIGSTOP: the process is there, and does nothing."""
        assert self.process is not None
        self.process.ask_to_stop(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.ask_to_stop(signal.SIGCONT)

    def said(self, event: str) -> int:
        """How often its log says so."""
        assert self.process is not None
        return self.process.log.read_text(encoding="utf-8").count(f'"event": "{event}"')

    def declare(self, *steps: str, participant: str, name: str = "order", max_in_flight: int = 8) -> None:
        base = f"{self.url}/v1/namespaces/{NAMESPACE}"
        spec = {"url": participant, "idempotency": "Keyed", "timeout": "10s", "maxInFlight": max_in_flight}
        call("PUT", f"{base}/participants/stub", {"spec": spec}).ok()
        call("PUT", f"{base}/definitions/{name}", {"spec": definition_spec(*steps)}).ok()

    def ask_to_start(self, **body: Any) -> Answer:
        return call("POST", f"{self.url}/v1/namespaces/{NAMESPACE}/sagas", {"definition": "order", **body})

    def start_saga(self, **body: Any) -> str:
        saga: str = self.ask_to_start(**body).ok()["id"]
        return saga

    def saga(self, saga_id: str) -> Answer:
        return call("GET", f"{self.url}/v1/sagas/{saga_id}")

    def phase(self, saga_id: str) -> str:
        phase: str = self.saga(saga_id).ok()["phase"]
        return phase

    def until_ended(self, sagas: Iterable[str], *, seconds: float = 60.0) -> dict[str, str]:
        """The phases of sagas that have all come to rest."""
        return {saga: self._end_of(saga, seconds) for saga in sagas}

    def _end_of(self, saga: str, seconds: float) -> str:
        eventually(lambda: self.phase(saga) in RESTING, f"saga {saga} to end", seconds=seconds)
        return self.phase(saga)

    def shards(self) -> int:
        lines = call("GET", f"{self.url}/metrics").body.splitlines()
        return next(int(float(line.split()[1])) for line in lines if line.startswith("kompensa_lease_shards "))


@dataclass
class Engines:
    """The engines of one test, on one journal."""

    run: Run
    ports: Ports
    journal_url: str
    started: list[EngineProcess] = field(default_factory=list)

    def start(self, name: str = "one", **environment: str) -> EngineProcess:
        """An engine that is ready."""
        port = self.ports.take(f"engine-{name}")
        engine = EngineProcess(self.run, name, self.journal_url, port, environment)
        self.started.append(engine)
        engine.start()
        engine.until_ready()
        return engine

    def start_pair(self) -> tuple[EngineProcess, EngineProcess]:
        """Two that share the shards."""
        one, two = self.start("one"), self.start("two")
        eventually(lambda: one.shards() == two.shards() == 16, "the shards to be shared")
        return one, two

    def close(self) -> None:
        for engine in self.started:
            engine.resume()
            engine.stop()


async def in_thread(work: Callable[..., Any], *given: Any) -> Any:
    """Ask over HTTP without holding up the participant that runs in this event loop."""
    return await asyncio.to_thread(work, *given)
