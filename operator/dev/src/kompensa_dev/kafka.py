"""A single-node Kafka (KRaft) as a local process, from the same jars as the cluster's image.

The formatted storage folder is made once and copied: with a static voter list it does not depend on ports, and the
storage tool costs a second of JVM start each time.
"""

import hashlib
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kompensa_dev.cache import product
from kompensa_dev.errors import DevError
from kompensa_dev.java import Libraries, command
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run

START_SECONDS = 60.0
FORMAT_SECONDS = 60.0
HEAP = "256m"
CLUSTER_ID = "a29tcGVuc2EtbG9jYWwtMQ"


class KafkaBroker:
    """A running broker; `bootstrap` is its address. `kill` and `start` are for fault tests, its topics survive them."""

    def __init__(self, run: Run, libraries: Libraries, *, archive: Sequence[str] = (), port: int | None = None) -> None:
        ports = Ports()
        self.port = port or ports.take("kafka")
        self.bootstrap = f"{HOST}:{self.port}"
        self._run = run
        self._folder = run.subfolder("kafka")
        data = self._folder / "data"
        if not data.exists():
            shutil.copytree(_formatted(libraries), data)
        properties = self._folder / "server.properties"
        properties.write_text(server_properties(data, port=self.port, controller_port=ports.take("kafka-controller")))
        self._argv = command(
            libraries.kafka, "kafka.Kafka", str(properties), folder=self._folder, heap=HEAP, archive=archive
        )
        self._process: Process | None = None
        self.start()

    @property
    def process(self) -> Process:
        if self._process is None:
            raise RuntimeError("the broker was never started")
        return self._process

    def start(self) -> None:
        """Start and wait until clients can connect."""
        self._process = self._run.start(Program(name="kafka", argv=self._argv, folder=self._folder, tier=0))
        self._process.wait_ready(self.answers, what="taking connections", timeout=START_SECONDS)

    def answers(self) -> bool:
        """Whether it takes connections; KRaft opens this port only once the broker is unfenced."""
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        self.process.kill()


def server_properties(data: Path, *, port: int, controller_port: int) -> str:
    """The broker's configuration: one node that is broker and controller, every internal topic small."""
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        # Outbox objects create the topics that they declare: a misspelt name must fail, not create another one.
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # A replica's worker that was killed leaves its partitions to the next one after 6 s instead of Kafka's 45.
        "group.consumer.min.session.timeout.ms": "6000",
        "group.consumer.session.timeout.ms": "6000",
        "group.consumer.min.heartbeat.interval.ms": "1000",
        "group.consumer.heartbeat.interval.ms": "1000",
        # A killed broker may register again only when its old session has ended.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def _formatted(libraries: Libraries) -> Path:
    jars = "\n".join(jar.name for jar in sorted(libraries.kafka.glob("*.jar")))
    key = hashlib.sha256(f"{jars}\n{CLUSTER_ID}".encode()).hexdigest()[:12]
    return product("kafka-storage", key, lambda folder: _format(libraries, folder)) / "data"


def _format(libraries: Libraries, folder: Path) -> None:
    properties = folder / "server.properties"
    properties.write_text(server_properties(folder / "data", port=9092, controller_port=9093), encoding="utf-8")
    arguments = ("format", "-t", CLUSTER_ID, "-c", str(properties))
    argv = command(libraries.kafka, "kafka.tools.StorageTool", *arguments, folder=folder, heap=HEAP)
    made = subprocess.run(argv, capture_output=True, text=True, timeout=FORMAT_SECONDS, check=False)
    if made.returncode != 0:
        raise DevError(f"Kafka's storage could not be formatted: {(made.stderr or made.stdout).strip()[-800:]}")
