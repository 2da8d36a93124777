"""A Kafka Connect worker with Debezium as a local process, from the same jars as the cluster's image.

Connectors read their database logins from files in `credentials`, as in the cluster, where a Secret is mounted there.
"""

from collections.abc import Sequence

from kompensa_dev.http import answers_ok
from kompensa_dev.java import Libraries, command
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run

START_SECONDS = 60.0
HEAP = "256m"


class ConnectWorker:
    """A running worker; `url` is its REST address, `credentials` the folder its connectors read logins from."""

    def __init__(
        self,
        run: Run,
        libraries: Libraries,
        kafka: KafkaBroker,
        *,
        archive: Sequence[str] = (),
        port: int | None = None,
    ) -> None:
        self.port = port or Ports().take("connect")
        self.url = f"http://{HOST}:{self.port}"
        self._run = run
        self._folder = run.subfolder("connect")
        self.credentials = run.subfolder("connect/credentials")
        self.credentials.chmod(0o700)
        properties = self._folder / "worker.properties"
        properties.write_text(worker_properties(libraries, bootstrap=kafka.bootstrap, url=self.url))
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        self._argv = command(libraries.connect, main, str(properties), folder=self._folder, heap=HEAP, archive=archive)
        self._process: Process | None = None
        self.start()

    @property
    def process(self) -> Process:
        if self._process is None:
            raise RuntimeError("the worker was never started")
        return self._process

    def start(self) -> None:
        """Start and wait until the REST interface serves."""
        self._process = self._run.start(Program(name="connect", argv=self._argv, folder=self._folder, tier=1))
        self._process.wait_ready(self.answers, what="answering over HTTP", timeout=START_SECONDS)

    def answers(self) -> bool:
        """Whether the worker has joined its group; before that /connectors times out or refuses."""
        return answers_ok(f"{self.url}/connectors", timeout=5)

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        self.process.kill()

    def write_login(self, key: str, *, username: str, password: str) -> None:
        """Put a database login where connectors look for it: files `<key>.username` and `<key>.password`."""
        for name, value in (("username", username), ("password", password)):
            path = self.credentials / f"{key}.{name}"
            path.touch(0o600)
            path.write_text(value, encoding="utf-8")


def worker_properties(libraries: Libraries, *, bootstrap: str, url: str) -> str:
    """The worker's configuration; offsets are flushed every second, so that a killed worker repeats little."""
    lines = {
        "bootstrap.servers": bootstrap,
        "group.id": "connect",
        "listeners": url,
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        **_internal_topics("config", partitions=None),
        **_internal_topics("offset", partitions=1),
        **_internal_topics("status", partitions=1),
        "offset.flush.interval.ms": "1000",
        # A worker that comes back gets its connectors at once instead of after five minutes.
        "scheduled.rebalance.max.delay.ms": "0",
        "plugin.path": str(libraries.plugins),
        # By service files only, which Debezium has: scanning every class costs two seconds.
        "plugin.discovery": "service_load",
        "config.providers": "directory",
        "config.providers.directory.class": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def _internal_topics(kind: str, *, partitions: int | None) -> dict[str, str]:
    lines = {f"{kind}.storage.topic": f"connect-{kind}s", f"{kind}.storage.replication.factor": "1"}
    return lines if partitions is None else {**lines, f"{kind}.storage.partitions": str(partitions)}
