"""Outbox objects on a real API server, PostgreSQL, Kafka and Connect; a task of the test plays the kubelet."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace

import psycopg
import pytest

from kompensa.cluster.kube import Kube
from kompensa.cluster.resources import OUTBOXES, PODS, SECRETS, Object
from kompensa_cdc.capture.connect import Connect
from kompensa_cdc.capture.naming import connector_name
from kompensa_dev.connect import ConnectWorker
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.postgres import Login, PostgresServer
from tests.integration.apiserver import SYSTEM, ApiServer
from tests.integration.operator_processes import OperatorProcesses
from tests.integration.operator_scene import Scene
from tests.support.waiting import until

CAPTURE_SECRET = "kompensa-capture"
OUTBOX_TABLE = """
CREATE SCHEMA orders;
CREATE TABLE orders.outbox (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregate_type text NOT NULL, aggregate_id uuid NOT NULL,
  aggregate_version bigint NOT NULL, event_type text NOT NULL, event_version text NOT NULL, payload jsonb,
  traceparent text, saga_id uuid, occurred_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (aggregate_type, aggregate_id, aggregate_version))
"""


@dataclass
class Captured:
    """A scene with an outbox table, its two logins, and a Connect that reads them from a mounted Secret."""

    scene: Scene
    owner: Login
    capture: Login
    admin: Login

    async def create_secrets(self) -> None:
        for name, login in (("orders-postgres", self.owner), ("orders-capture", self.capture)):
            values = {
                "host": login.host,
                "port": str(login.port),
                "database": login.database,
                "username": login.username,
                "password": login.password,
            }
            body = {"metadata": {"name": name}, "stringData": values}
            await self.scene.kube.create(SECRETS, self.scene.namespace, body)

    async def create_outbox(self, **changed: str) -> Object:
        spec = {
            "databaseSecretRef": {"name": "orders-postgres"},
            "captureSecretRef": {"name": "orders-capture"},
            "table": "orders.outbox",
            "topicPrefix": self.scene.namespace,
            "events": ["customer-created"],
            "partitions": 1,
            **changed,
        }
        return await self.scene.create(OUTBOXES, "orders", spec)

    async def begin(self) -> None:
        """An Outbox that is captured."""
        await self.create_secrets()
        await self.create_outbox()
        await self.scene.until_ready(OUTBOXES, "orders")

    async def use_port(self, secret: str, port: int) -> None:
        await self.scene.kube.merge(SECRETS, self.scene.namespace, secret, {"stringData": {"port": str(port)}})

    async def slots(self) -> list[str]:
        async with await psycopg.AsyncConnection.connect(self.admin.url) as connection:
            found = await connection.execute(
                "SELECT slot_name FROM pg_replication_slots WHERE database = %s", (self.owner.database,)
            )
            return [row[0] for row in await found.fetchall()]

    async def logins_kept(self) -> list[str]:
        """The login of this scene in Connect's Secret."""
        secret = await self.scene.kube.get(SECRETS, SYSTEM, CAPTURE_SECRET)
        return sorted(key for key in secret.get("data") or {} if key.startswith(f"{self.scene.namespace}."))

    async def until_gone(self) -> None:
        async def gone() -> bool:
            names = [item["metadata"]["name"] async for item in self.scene.kube.each(OUTBOXES, self.scene.namespace)]
            return names == []

        await until(gone, "the Outbox to be gone", seconds=60)


@pytest.fixture
async def captured(
    operator_processes: OperatorProcesses,
    kafka: KafkaBroker,
    connect: ConnectWorker,
    database: Login,
    postgres: PostgresServer,
    apiserver: ApiServer,
    capturing_operator: None,
    scene: Scene,
) -> AsyncIterator[Captured]:
    capture = postgres.create_capture_role(database.database)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(OUTBOX_TABLE)
        connection.execute(f'GRANT USAGE ON SCHEMA orders TO "{capture.username}"')
        connection.execute(f'GRANT SELECT ON orders.outbox TO "{capture.username}"')
    kubelet = asyncio.create_task(mount(scene.kube, connect))
    yield Captured(scene, database, capture, postgres.admin_of(database.database))
    async with Connect(connect.url) as rest:
        await rest.delete(connector_name(scene.namespace, "orders"))
    kubelet.cancel()
    with suppress(asyncio.CancelledError):
        await kubelet


@pytest.fixture
def capturing_operator(
    operator_processes: OperatorProcesses, kafka: KafkaBroker, connect: ConnectWorker, apiserver: ApiServer
) -> None:
    """An operator with the addresses of Kafka and Connect, the empty Secret that comes with Connect, and its pod."""
    operator_processes.extra = {
        "KOMPENSA_KAFKA": kafka.bootstrap,
        "KOMPENSA_CONNECT_URL": connect.url,
        "KOMPENSA_CONNECT_NAMESPACE": SYSTEM,
        "KOMPENSA_CAPTURE_SECRET": CAPTURE_SECRET,
        "KOMPENSA_CAPTURE_FOLDER": str(connect.credentials),
    }
    if operator_processes.operator is not None:
        operator_processes.operator.stop()
    pod = {"containers": [{"name": "connect", "image": "connect:test"}]}
    labels = {"app.kubernetes.io/component": "connect"}
    apiserver.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": CAPTURE_SECRET, "namespace": SYSTEM}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "connect-0", "namespace": SYSTEM, "labels": labels},
            "spec": pod,
        },
    )


async def mount(kube: Kube, connect: ConnectWorker) -> None:
    """Refresh the Secret volume after each change of the pod, as the kubelet does."""
    seen = ""
    while True:
        pod = await kube.get(PODS, SYSTEM, "connect-0")
        touched = (pod["metadata"].get("annotations") or {}).get("kompensa.dev/capture-synced", "")
        if touched != seen:
            seen = touched
            secret = await kube.get(SECRETS, SYSTEM, CAPTURE_SECRET)
            values = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
            for key in {name.rpartition(".")[0] for name in values}:
                connect.write_login(key, username=values[f"{key}.username"], password=values[f"{key}.password"])
        await asyncio.sleep(0.05)


async def test_an_outbox_is_captured_and_taken_down_with_its_object(captured: Captured) -> None:
    await captured.begin()
    status = await captured.scene.status("orders", OUTBOXES)
    assert status["connectorState"] == "RUNNING"
    assert await captured.slots() == [status["slot"]]
    await captured.scene.delete(OUTBOXES, "orders")
    await captured.until_gone()
    assert await captured.slots() == []
    assert await captured.logins_kept() == []


async def test_a_missing_secret_is_named_and_waited_for(captured: Captured) -> None:
    await captured.create_outbox()
    waiting = await captured.scene.until_condition(OUTBOXES, "orders", "Ready", "False", "SecretNotFound")
    assert "orders-postgres" in waiting["message"]
    await captured.create_secrets()
    await captured.scene.until_ready(OUTBOXES, "orders")
    await captured.scene.delete(OUTBOXES, "orders")
    await captured.until_gone()


def left_behind(captured: Captured, apiserver: ApiServer) -> list[Object]:
    """The Events about parts of capture that a deletion could not remove."""
    events = apiserver.get("events", "-n", captured.scene.namespace)["items"]
    return [event for event in events if event["reason"] == "CaptureLeftBehind"]


@pytest.mark.parametrize("restarted", [False, True], ids=["as it was", "restarted"])
async def test_an_outbox_whose_secrets_are_gone_is_taken_down_with_the_login_that_connect_uses(
    captured: Captured, apiserver: ApiServer, restarted: bool
) -> None:
    await captured.begin()
    (slot,) = await captured.slots()
    operator = captured.scene.processes.operator
    assert operator is not None
    if restarted:
        operator.stop()
    for name in ("orders-postgres", "orders-capture"):
        await captured.scene.delete(SECRETS, name)
    await captured.scene.delete(OUTBOXES, "orders")
    captured.scene.processes.ensure()
    await captured.until_gone()
    assert await captured.slots() == []
    (told,) = left_behind(captured, apiserver)
    assert f"DROP PUBLICATION {slot}" in told["message"]
    assert "orders-postgres does not exist" in told["message"]
    assert "pg_drop_replication_slot" not in told["message"]


async def test_an_outbox_without_any_login_can_be_deleted_and_names_the_rest(
    captured: Captured, apiserver: ApiServer
) -> None:
    await captured.begin()
    operator = captured.scene.processes.operator
    assert operator is not None
    operator.stop()
    for name in ("orders-postgres", "orders-capture"):
        await captured.scene.delete(SECRETS, name)
    nobodys = dict.fromkeys(await captured.logins_kept())
    await captured.scene.kube.merge(SECRETS, SYSTEM, CAPTURE_SECRET, {"data": nobodys})
    await captured.scene.delete(OUTBOXES, "orders")
    captured.scene.processes.ensure()
    await captured.until_gone()
    (told,) = left_behind(captured, apiserver)
    assert f"pg_drop_replication_slot('{(await captured.slots())[0]}')" in told["message"]


async def test_a_namespace_that_is_being_deleted_is_not_held_up_by_its_outbox(
    captured: Captured, apiserver: ApiServer
) -> None:
    await captured.begin()
    apiserver.kubectl("delete", "namespace", captured.scene.namespace, "--wait=false")
    for name in ("orders-postgres", "orders-capture"):
        await captured.scene.delete(SECRETS, name)
    await captured.scene.delete(OUTBOXES, "orders")
    await captured.until_gone()
    assert await captured.slots() == []
    assert await captured.logins_kept() == []
    assert left_behind(captured, apiserver) == []


async def test_an_outbox_that_was_never_captured_is_deleted_at_once(captured: Captured) -> None:
    captured.owner = replace(captured.owner, port=1)
    await captured.create_secrets()
    await captured.create_outbox()
    await captured.scene.until_condition(OUTBOXES, "orders", "Ready", "False", "DatabaseUnusable")
    assert await captured.logins_kept() == []
    await captured.scene.delete(OUTBOXES, "orders")
    await captured.until_gone()


async def test_a_waiting_deletion_names_its_cause_and_its_deadline(captured: Captured) -> None:
    await captured.begin()
    await captured.use_port("orders-capture", 1)
    await captured.scene.delete(OUTBOXES, "orders")
    waiting = await captured.scene.until_condition(OUTBOXES, "orders", "Ready", "False", "DatabaseUnusable")
    assert "127.0.0.1:1/" in waiting["message"]
    assert re.search(r"gives up at \d\d:\d\d UTC", waiting["message"])
    await captured.use_port("orders-capture", captured.capture.port)
    await captured.until_gone()
    assert await captured.slots() == []


async def test_a_table_that_is_not_an_outbox_is_not_captured(captured: Captured) -> None:
    with psycopg.connect(captured.owner.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders.customers (id uuid PRIMARY KEY, email text)")
    await captured.create_secrets()
    await captured.create_outbox(table="orders.customers")
    refused = await captured.scene.until_condition(OUTBOXES, "orders", "Ready", "False", "TableUnsuitable")
    assert "orders.customers" in refused["message"]
    assert "payload" in refused["message"]
    await captured.scene.delete(OUTBOXES, "orders")
    await captured.until_gone()


async def test_a_table_that_a_migration_recreates_is_an_event_and_never_silently_ready(
    captured: Captured, apiserver: ApiServer
) -> None:
    await captured.begin()
    before = (await captured.scene.status("orders", OUTBOXES))["publishedTables"]
    operator = captured.scene.processes.operator
    assert operator is not None
    operator.stop()
    with psycopg.connect(captured.owner.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE orders.outbox RENAME TO outbox_old")
        connection.execute(OUTBOX_TABLE.replace("CREATE SCHEMA orders;", ""))
        connection.execute(f'GRANT SELECT ON orders.outbox TO "{captured.capture.username}"')
        connection.execute(
            "INSERT INTO orders.outbox (aggregate_type, aggregate_id, aggregate_version, event_type, event_version)"
            " VALUES ('customer', gen_random_uuid(), 1, 'customer-created', '1.0')"
        )
        connection.execute("DROP TABLE orders.outbox_old")
    captured.scene.processes.ensure()
    await captured.scene.until_event(apiserver, "PublicationChanged")
    await captured.scene.until_event(apiserver, "Republishing")
    await captured.scene.until_ready(OUTBOXES, "orders")
    assert (await captured.scene.status("orders", OUTBOXES))["publishedTables"] not in ([], before)
