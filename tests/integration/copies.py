"""A copy of customers as the replica tests see it: a target table, topics, a worker process, and the expected rows."""

import itertools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psycopg
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # declares no re-exports
from psycopg.rows import dict_row

from kompensa_dev.ports import HOST, Ports
from kompensa_dev.postgres import Login
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run
from tests.support import waiting

CREATED, UPDATED, DELETED = "customer-created", "customer-updated", "customer-deleted"
PATIENCE_SECONDS = 60.0
TABLE = """
CREATE SCHEMA IF NOT EXISTS invoices;
CREATE TABLE invoices.customers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  orders_customer_id uuid NOT NULL UNIQUE,
  email varchar(40) NOT NULL,
  document varchar(14),
  full_name text NOT NULL,
  billing_address jsonb,
  source_version bigint NOT NULL,
  synced_at timestamptz NOT NULL,
  deleted_at timestamptz)
"""
Value = TypeVar("Value")
_serial = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One customer event; what is not said follows from key and version."""

    key: str
    version: int
    type: str = UPDATED
    payload: Mapping[str, Any] | None = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any] | None:
        if self.payload is None:
            return None
        if self.type == DELETED:
            return {"customerId": self.key}
        state = {
            "customerId": self.key,
            "email": f"v{self.version}@example.com",
            "document": "12345678901",
            "fullName": f"Name {self.version}",
            "billingAddress": {"street": f"Street {self.version}", "lines": []},
        }
        return state | dict(self.payload)

    @property
    def time(self) -> str:
        return f"2026-01-31T12:{self.version // 60 % 60:02}:{self.version % 60:02}Z"

    @property
    def headers(self) -> list[tuple[str, str | bytes | None]]:
        return [
            ("event-type", self.type.encode()),
            ("event-version", b"1.0"),
            ("aggregate-version", str(self.version).encode()),
            ("occurred-at", self.time.encode()),
            ("traceparent", None),
        ]


def replica_object(prefix: str, **spec: Any) -> dict[str, Any]:
    """A Replica of invoices.customers; e-mail, document and address are personal, the name is kept for history."""
    return {
        "kind": "Replica",
        "metadata": {"namespace": "shop", "name": f"{prefix}-customers"},
        "spec": {
            "source": {
                "topics": [f"{prefix}.{kind}" for kind in (CREATED, UPDATED, DELETED)],
                "deleteEvents": [DELETED],
            },
            "target": {
                "table": "invoices.customers",
                "keyColumn": "orders_customer_id",
                "versionColumn": "source_version",
                "syncedAtColumn": "synced_at",
                "deletedAtColumn": "deleted_at",
                "columns": [
                    {"name": "email", "field": "email", "personal": True},
                    {"name": "document", "field": "document", "personal": True},
                    {"name": "full_name", "field": "fullName"},
                    {"name": "billing_address", "field": "billingAddress", "type": "jsonb", "personal": True},
                ],
            },
            **spec,
        },
    }


def expected_rows(changes: Iterable[Change], *, soft: bool = True) -> dict[str, tuple[Any, ...]]:
    """The rows that the copy must have, by a second, simple rule: the newest state, unless a deletion is newer."""
    rows: dict[str, tuple[Any, ...]] = {}
    by_key: dict[str, list[Change]] = {}
    for change in changes:
        by_key.setdefault(change.key, []).append(change)
    for key, own in by_key.items():
        states = sorted((each for each in own if each.type != DELETED), key=lambda each: each.version)
        deletions = sorted((each for each in own if each.type == DELETED), key=lambda each: each.version)
        if not states:
            continue
        body = states[-1].body or {}
        if deletions and deletions[-1].version > states[-1].version:
            if soft:
                rows[key] = (deletions[-1].version, "", None, body["fullName"], None, deletions[-1].time)
            continue
        rows[key] = (
            states[-1].version,
            body["email"],
            body["document"],
            body["fullName"],
            body["billingAddress"],
            None,
        )
    return rows


def read_rows(url: str) -> dict[str, tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            """SELECT orders_customer_id::text, source_version, email, document, full_name, billing_address,
                      to_char(deleted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                 FROM invoices.customers"""
        ).fetchall()
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: tuple(row[1:]) for row in rows}


def query(url: str, text: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(text).fetchall()


def execute(login: Login, ddl: str) -> None:
    with psycopg.connect(login.url, autocommit=True) as connection:
        connection.execute(ddl)


def eventually(
    read: Callable[[], Value], is_right: Callable[[Value], bool], *, seconds: float = PATIENCE_SECONDS
) -> Value:
    """Return the first value that is right."""
    return waiting.eventually(read, "the read value to be right", is_right=is_right, seconds=seconds)


class Topics:
    """Three topics of customers under a fresh prefix, and a producer for them."""

    def __init__(self, bootstrap: str, *, partitions: int = 3) -> None:
        self.bootstrap = bootstrap
        self._partitions = partitions
        self.prefix = f"t{os.getpid()}x{next(_serial)}"
        admin = AdminClient({"bootstrap.servers": bootstrap})
        names = [f"{self.prefix}.{kind}" for kind in (CREATED, UPDATED, DELETED)]
        for future in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
            future.result(30)
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1, "compression.type": "lz4"})

    def send(self, changes: Iterable[Change]) -> None:
        for change in changes:
            body = change.body
            self.send_raw(change, None if body is None else json.dumps(body).encode())
        assert self._producer.flush(30) == 0

    def send_in_transaction(self, changes: Iterable[Change]) -> None:
        """As a connector with exactly-once delivery does: behind the records comes a marker, which takes an offset."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": self.prefix})
        producer.init_transactions(30)
        producer.begin_transaction()
        for change in changes:
            topic = f"{self.prefix}.{change.type}"
            producer.produce(topic, key=change.key, value=json.dumps(change.body).encode(), headers=change.headers)
        producer.commit_transaction(30)

    def empty(self) -> None:
        """Take all records out of the topics, as the end of their retention does."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        ends = [
            TopicPartition(f"{self.prefix}.{kind}", partition, OFFSET_END)
            for kind in (CREATED, UPDATED, DELETED)
            for partition in range(self._partitions)
        ]
        for future in admin.delete_records(ends).values():
            future.result(30)

    def delete(self, kind: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.delete_topics([f"{self.prefix}.{kind}"])[f"{self.prefix}.{kind}"].result(30)

    def send_raw(self, change: Change, value: bytes | None) -> None:
        topic = f"{self.prefix}.{change.type}"
        while True:
            try:
                self._producer.produce(topic, key=change.key, value=value, headers=change.headers)
            except BufferError:
                self._producer.poll(1.0)
            else:
                break
        self._producer.poll(0)


class Worker:
    """`kompensa-cdc replica` as a process of its own."""

    def __init__(
        self, run: Run, replica: Mapping[str, Any], *, database_url: str, bootstrap: str, folder: Path
    ) -> None:
        self._run = run
        self._port = Ports().take("replica")
        spec = folder / "replica.json"
        spec.write_text(json.dumps(replica))
        self.environment = {
            "REPLICA_SPEC": str(spec),
            "DATABASE_URL": database_url,
            "KOMPENSA_KAFKA": bootstrap,
            "STATUS_HOST": HOST,
            "STATUS_PORT": str(self._port),
        }
        self.process: Process = self._started()

    def _started(self) -> Process:
        argv = (sys.executable, "-m", "kompensa_cdc.main", "replica")
        return self._run.start(Program(name=f"replica-{self._port}", argv=argv, environment=self.environment))

    def restart(self) -> None:
        self.process = self._started()

    def kill(self) -> None:
        self.process.kill()

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    @property
    def peak_megabytes(self) -> int:
        """The most of memory that the process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM:"))

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def status(self) -> dict[str, Any]:
        """/status, or nothing while it does not answer."""
        return self._get("/status")

    def readiness(self) -> dict[str, Any]:
        return self._get("/readyz")

    def wait_ready(self) -> None:
        eventually(self.status, lambda status: bool(status.get("ready") and status["partitions"]))

    def metrics(self) -> str:
        with urlopen(f"http://{HOST}:{self._port}/metrics", timeout=5) as reply:
            return str(reply.read().decode())

    def _get(self, path: str) -> dict[str, Any]:
        try:
            with urlopen(f"http://{HOST}:{self._port}{path}", timeout=5) as reply:
                document = json.load(reply)
        except HTTPError as error:
            document = json.load(error)
        except (URLError, OSError):
            document = {}
        return dict(document)


def prepare_target(login: Login) -> None:
    execute(login, TABLE)
