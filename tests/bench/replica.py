"""How fresh a copy is, and how fast it is filled: real PostgreSQL, Kafka, Connect, Debezium and worker, as processes.

    python3 -m tests.bench.replica [--changes 1000] [--rate 50] [--bulk 200000]

Commit to copy is from the moment the writer's commit has returned to the moment the copy's commit is visible, which
a trigger of the benchmark reports by NOTIFY. Bulk is a worker that finds a full topic at its start.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from kompensa_cdc.capture import Database, Inline, outbox_from_object, reconcile_outbox
from kompensa_dev.connect import ConnectWorker
from kompensa_dev.java import libraries
from kompensa_dev.java_archives import archives
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.run import Run
from tests.integration.copies import CREATED, Change, Topics, Worker, eventually, prepare_target, replica_object
from tests.integration.outboxes import OUTBOX

WAIT_SECONDS = 120.0
WARM_UP = 50
NOTIFY = """
CREATE FUNCTION invoices.tell() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_notify('copied', NEW.orders_customer_id::text); RETURN NEW; END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON invoices.customers FOR EACH ROW EXECUTE FUNCTION invoices.tell()
"""


@dataclass(frozen=True)
class Stack:
    run: Run
    postgres: PostgresServer
    kafka: KafkaBroker
    connect: ConnectWorker


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def captured(stack: Stack, source: Login, prefix: str) -> None:
    """Make the outbox and keep reconciling it until its connector runs."""
    capture = stack.postgres.create_capture_role(source.database)
    with psycopg.connect(source.url, autocommit=True) as connection:
        connection.execute(OUTBOX)
        connection.execute(f'GRANT USAGE ON SCHEMA orders TO "{capture.username}"')
        connection.execute(f'GRANT SELECT ON orders.outbox TO "{capture.username}"')
    spec = {"table": "orders.outbox", "topicPrefix": prefix, "events": [CREATED], "partitions": 6}
    outbox = outbox_from_object("bench", prefix, spec)
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            status = await reconcile_outbox(
                outbox,
                owner=_database(source),
                capture=_database(capture),
                credentials=Inline(),
                connect_url=stack.connect.url,
                bootstrap=stack.kafka.bootstrap,
            )
            if status.ready:
                return
            await asyncio.sleep(0.2)


def _database(login: Login) -> Database:
    return Database(
        host=login.host, port=login.port, database=login.database, username=login.username, password=login.password
    )


async def write_at(source: Login, keys: Sequence[str], rate: float) -> dict[str, float]:
    """Commit one outbox row per key at a steady rate; return when each commit had returned."""
    committed: dict[str, float] = {}
    async with await psycopg.AsyncConnection.connect(source.url) as connection:
        began = time.perf_counter()
        for number, key in enumerate(keys):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            await connection.execute(
                "INSERT INTO orders.outbox (aggregate_type, aggregate_id, aggregate_version, event_type, event_version,"
                " payload) VALUES ('customer', %s, 1, %s, '1.0', %s)",
                (key, CREATED, json.dumps(Change(key=key, version=1, type=CREATED).body)),
            )
            await connection.commit()
            committed[key] = time.perf_counter()
    return committed


async def listen(target: Login, count: int, listening: asyncio.Event) -> dict[str, float]:
    copied: dict[str, float] = {}
    async with await psycopg.AsyncConnection.connect(target.url, autocommit=True) as connection:
        await connection.execute("LISTEN copied")
        listening.set()
        async for notice in connection.notifies(timeout=WAIT_SECONDS):
            copied[notice.payload] = time.perf_counter()
            if len(copied) == count:
                break
    return copied


async def freshness(stack: Stack, *, changes: int, rate: float) -> list[float]:
    """Milliseconds from commit to copy, one per change, warm-up left out."""
    source = stack.postgres.create_database("bench_orders")
    target = stack.postgres.create_database("bench_invoices")
    prepare_target(target)
    with psycopg.connect(target.url, autocommit=True) as connection:
        connection.execute(NOTIFY)
    topics = Topics(stack.kafka.bootstrap, partitions=6)
    await captured(stack, source, topics.prefix)
    with tempfile.TemporaryDirectory() as folder:
        worker = _worker(stack, topics, target, Path(folder))
        worker.wait_ready()
        keys = [str(uuid.uuid4()) for _ in range(changes + WARM_UP)]
        listening = asyncio.Event()
        copying = asyncio.create_task(listen(target, len(keys), listening))
        await listening.wait()
        committed = await write_at(source, keys, rate)
        copied = await copying
        worker.process.stop()
    if missing := committed.keys() - copied.keys():
        raise SystemExit(f"{len(missing)} of {len(keys)} changes did not reach the copy in {WAIT_SECONDS:.0f} s")
    return [1000 * (copied[key] - committed[key]) for key in keys[WARM_UP:]]


def bulk(stack: Stack, *, events: int) -> float:
    """Records applied per second by a worker that starts in front of a full topic; half of them update a key again."""
    target = stack.postgres.create_database("bench_bulk")
    prepare_target(target)
    topics = Topics(stack.kafka.bootstrap, partitions=6)
    keys = [str(uuid.uuid4()) for _ in range(events // 2)]
    topics.send(Change(key=key, version=version, type=CREATED) for version in (1, 2) for key in keys)
    with tempfile.TemporaryDirectory() as folder:
        worker = _worker(stack, topics, target, Path(folder))
        first = eventually(lambda: (time.perf_counter(), _applied(worker)), lambda seen: seen[1] > 0)
        last = eventually(lambda: (time.perf_counter(), _applied(worker)), lambda seen: seen[1] >= events)
        worker.process.stop()
    return (last[1] - first[1]) / (last[0] - first[0])


def _applied(worker: Worker) -> int:
    return int(worker.status().get("appliedRecords", 0))


def _worker(stack: Stack, topics: Topics, target: Login, folder: Path) -> Worker:
    replica = replica_object(topics.prefix)
    return Worker(stack.run, replica, database_url=target.url, bootstrap=stack.kafka.bootstrap, folder=folder)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--changes", type=int, default=1000)
    arguments.add_argument("--rate", type=float, default=50.0)
    arguments.add_argument("--bulk", type=int, default=200_000)
    chosen = arguments.parse_args()
    with Run.open() as run:
        jars = libraries()
        ready = archives(jars)
        kafka = KafkaBroker(run, jars, archive=ready.kafka)
        stack = Stack(run, PostgresServer(run), kafka, ConnectWorker(run, jars, kafka, archive=ready.connect))
        delays = asyncio.run(freshness(stack, changes=chosen.changes, rate=chosen.rate))
        print(
            f"commit to copy, {len(delays)} changes at {chosen.rate:.0f}/s: p50 {statistics.median(delays):.1f} ms, "
            f"p95 {percentile(delays, 0.95):.1f} ms, p99 {percentile(delays, 0.99):.1f} ms, max {max(delays):.1f} ms"
        )
        speed = bulk(stack, events=chosen.bulk)
        print(f"bulk apply, {chosen.bulk} records over {chosen.bulk // 2} keys: {speed:,.0f} records/s")


if __name__ == "__main__":
    main()
