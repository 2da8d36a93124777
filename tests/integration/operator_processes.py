"""A real engine and a real operator on a real API server, as the chart runs them: rights, tokens and all."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from kompensa_dev.http import answers_ok
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run
from tests.integration.apiserver import ENGINE, OPERATOR, SYSTEM, ApiServer

RIGHTS = Path(__file__).with_name("rights.yaml")
API_TOKEN = "a-token-of-the-tests"
READY_SECONDS = 30.0


@dataclass
class OperatorProcesses:
    """One engine and one operator that may be killed and started again; both keep their ports."""

    run: Run
    apiserver: ApiServer
    journal_url: str
    ports: Ports
    extra: dict[str, str] = field(default_factory=dict)
    engine: Process | None = None
    operator: Process | None = None

    def __post_init__(self) -> None:
        self.engine_port = self.ports.take("engine")
        self.probe_port = self.ports.take("operator-probe")
        self.replica_port = self.ports.take("replica-stub")
        self.apiserver.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        self.apiserver.kubectl("apply", "-f", str(RIGHTS))

    @property
    def engine_url(self) -> str:
        return f"http://{HOST}:{self.engine_port}"

    @property
    def probe_url(self) -> str:
        return f"http://{HOST}:{self.probe_port}"

    def start_engine(self) -> Process:
        environment = {
            "KUBECONFIG": str(self.apiserver.kubeconfig(ENGINE)),
            "KOMPENSA_JOURNAL_URL": self.journal_url,
            "KOMPENSA_API_HOST": HOST,
            "KOMPENSA_API_PORT": str(self.engine_port),
            "KOMPENSA_API_TOKEN": API_TOKEN,
            "KOMPENSA_STATUS": "kubernetes",
        }
        argv = [sys.executable, "-m", "kompensa", "engine", "serve"]
        self.engine = self.run.start(Program(name="engine", argv=argv, environment=environment, tier=3))
        self.engine.wait_ready(
            lambda: answers_ok(f"{self.engine_url}/readyz"), what="/readyz answering ok", timeout=READY_SECONDS
        )
        return self.engine

    def start_operator(self) -> Process:
        """Start the operator and wait until it is active."""
        self.operator = self.spawn_operator("operator", self.probe_port)
        self.operator.wait_ready(
            lambda: answers_ok(f"{self.probe_url}/readyz"), what="/readyz answering ok", timeout=READY_SECONDS
        )
        return self.operator

    def spawn_operator(self, name: str, probe_port: int) -> Process:
        environment = {
            "KUBECONFIG": str(self.apiserver.kubeconfig(OPERATOR)),
            "KOMPENSA_API_URL": self.engine_url,
            "KOMPENSA_API_TOKEN": API_TOKEN,
            "KOMPENSA_LEASE_NAMESPACE": SYSTEM,
            "KOMPENSA_PROBE_HOST": HOST,
            "KOMPENSA_PROBE_PORT": str(probe_port),
            "KOMPENSA_REPLICA_IMAGE": "kompensa:test",
            "KOMPENSA_REPLICA_URL": f"http://{HOST}:{self.replica_port}/{{namespace}}/{{name}}",
            "POD_NAME": name,
            **self.extra,
        }
        argv = [sys.executable, "-m", "kompensa", "operator"]
        return self.run.start(Program(name=name, argv=argv, environment=environment, tier=3))

    def ensure(self) -> None:
        """Make both run, even after a test that ended one of them."""
        if self.engine is None or not self.engine.is_alive:
            self.start_engine()
        if self.operator is None or not self.operator.is_alive:
            self.start_operator()
