"""The engine alone: its real process on a real PostgreSQL, a participant that does nothing, and load on it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import psycopg
import yaml
from prometheus_client.parser import text_string_to_metric_families

from images.setup import go
from images.setup.cache import Cache, default_root
from images.setup.commands import Runner, merged
from images.setup.digest import key_of
from images.setup.versions import load_versions
from kompensa.client.engine_client import EngineClient
from kompensa_dev.http import answers_ok
from kompensa_dev.ports import HOST, Ports, is_free
from kompensa_dev.postgres import PostgresServer
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run

STUB = Path(__file__).parent / "stub"
DEFINITION = Path(__file__).parents[2] / "manifests" / "shop" / "create-order.yaml"
NAMESPACE = "bench"
IDEMPOTENCY = {"lazy": "Keyed", "eager": "None"}
"""Declarations of the participant, by the kind of journalling that follows."""
READY_SECONDS = 60.0
STEPS = 4


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The load generator's results; times in milliseconds."""

    sagas: int
    failures: int
    seconds: float
    rate: float
    p50_ms: float
    p99_ms: float


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of engine and PostgreSQL since they started."""

    commits: float
    writes: float
    cpu_seconds: float
    wal_bytes: float


class LocalEngine:
    """Engine, journal and participant as processes of one run, which ends them.

    `python` is the engine's interpreter; it uses the packages of this one, so it must be of the same version.
    """

    def __init__(self, run: Run, *, python: str = sys.executable) -> None:
        self._run = run
        self._python = python
        self._stub = stub_program()
        self._ports = Ports()
        self._postgres = PostgresServer(run)
        journal = self._postgres.create_database("kompensa")
        self._participant = self._start_participant()
        self.url = self._start_engine(journal.url)
        asyncio.run(self._declare())

    def load(self, definition: str, *, flight: int, sagas: int, seconds: float) -> Load:
        """Start sagas and wait for each in the same request, `flight` at a time, until either bound is reached."""
        place = ["-url", self.url, "-namespace", NAMESPACE, "-definition", definition]
        bounds = ["-flight", str(flight), "-sagas", str(sagas), "-most", f"{seconds}s"]
        done = subprocess.run(
            [self._stub, "load", *place, *bounds], stdout=subprocess.PIPE, check=True, timeout=seconds + 60
        )
        return msgspec.json.decode(done.stdout, type=Load)

    def counters(self) -> Counters:
        """Read them all, now."""
        with urlopen(f"{self.url}/metrics", timeout=10) as response:
            text = response.read().decode()
        samples = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
        return Counters(
            commits=samples["kompensa_journal_commit_seconds_count"],
            writes=samples["kompensa_journal_batch_size_sum"],
            cpu_seconds=samples["process_cpu_seconds_total"],
            wal_bytes=float(self.ask("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")),
        )

    def ask(self, question: str) -> str:
        """One value from the journal's server, as text."""
        with psycopg.connect(self._postgres.admin_of("kompensa").url) as connection:
            row = connection.execute(question.encode()).fetchone()
        return str(row[0] if row else "")

    def _start_participant(self) -> str:
        port = self._ports.take("participant")
        argv = [str(self._stub), "participant", "-listen", f"{HOST}:{port}"]
        process = self._run.start(Program(name="participant", argv=argv, tier=1))
        process.wait_ready(lambda: not is_free(port), what="listening", timeout=READY_SECONDS)
        return f"http://{HOST}:{port}"

    def _start_engine(self, journal: str) -> str:
        port = self._ports.take("engine")
        url = f"http://{HOST}:{port}"
        environment = {
            "KOMPENSA_JOURNAL_URL": journal,
            "KOMPENSA_API_HOST": HOST,
            "KOMPENSA_API_PORT": str(port),
            "KOMPENSA_STATUS": "none",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path and not path.startswith(sys.base_prefix)),
        }
        argv = [self._python, "-m", "kompensa", "engine", "serve"]
        self.engine: Process = self._run.start(Program(name="engine", argv=argv, environment=environment, tier=2))
        self.engine.wait_ready(lambda: answers_ok(f"{url}/readyz"), what="/readyz answering ok", timeout=READY_SECONDS)
        return url

    async def _declare(self) -> None:
        """The shop's order without its last step, once by a participant that keeps replies and once by one that does
        not."""
        async with EngineClient.connect(self.url, None) as client:
            for definition, idempotency in IDEMPOTENCY.items():
                participant = {"url": self._participant, "idempotency": idempotency, "maxInFlight": 1000}
                await client.put_participant(NAMESPACE, definition, participant, None)
                await client.put_definition(NAMESPACE, definition, order_of_four(participant=definition))


def order_of_four(*, participant: str) -> dict[str, Any]:
    """The spec of `create-order` with its four compensatable steps, all of them at one participant.

    It has no `logFields`: the figures are those of sagas without log lines.
    """
    spec: dict[str, Any] = yaml.safe_load(DEFINITION.read_text())["spec"]
    del spec["logFields"]
    steps = [{**step, "participantRef": {"name": participant}} for step in spec["steps"][:STEPS]]
    return {**spec, "steps": steps}


def stub_program() -> Path:
    """The participant and load generator, built when it is not in the cache."""
    cache, versions = Cache(default_root(merged())), load_versions()

    def compile_into(folder: Path) -> None:
        runner = Runner(log=cache.logs / "bench-stub.log")
        compiler = go.go_command(cache, versions, runner)
        runner.run([compiler, "build", *go.BUILD_FLAGS, "-o", folder / "stub", "."], cwd=STUB, env=go.ENVIRONMENT)

    return cache.product("go-bench-stub", key_of(STUB, *go.BUILD_FLAGS), compile_into) / "stub"
