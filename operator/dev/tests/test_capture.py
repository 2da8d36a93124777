"""The thread that keeps the outboxes captured outlives an error of one of its passes, and reports it once."""

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kompensa.manifests.documents import Document
from kompensa_cdc.capture import Outbox, OutboxStatus
from kompensa_dev import capture
from kompensa_dev.capture import Capture
from kompensa_dev.connect import ConnectWorker
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.postgres import Login
from kompensa_dev.shop import Logins

PATIENCE_SECONDS = 60.0
LOGIN = Login(host="127.0.0.1", port=5432, database="orders", username="orders", password="secret")
OUTBOX = Document(
    kind="Outbox",
    namespace="shop",
    name="orders",
    source="outbox.yaml",
    spec={
        "databaseSecretRef": {"name": "orders-postgres"},
        "captureSecretRef": {"name": "orders-capture"},
        "table": "orders.outbox",
        "topicPrefix": "orders",
        "events": ["customer-created"],
    },
)


def test_a_pass_that_raises_is_told_once_and_the_next_ones_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    passes, went_on = 0, threading.Event()

    async def reconciled(outbox: Outbox, **_: Any) -> OutboxStatus:
        nonlocal passes
        passes += 1
        if passes in (2, 3):
            raise RuntimeError("an unexpected answer")
        if passes > 3:
            went_on.set()
        return OutboxStatus(connector=outbox.connector, slot="s", publication="p", ready=True)

    monkeypatch.setattr(capture, "reconcile_outbox", reconciled)
    monkeypatch.setattr(capture, "REPEAT_SECONDS", 0.01)
    told: list[str] = []
    connect = SimpleNamespace(write_login=lambda *_, **__: None, credentials="/credentials", url="http://connect")
    keeping = Capture(
        cast("KafkaBroker", SimpleNamespace(bootstrap="kafka:9092")),
        cast("ConnectWorker", connect),
        Logins({"orders-postgres": LOGIN, "orders-capture": LOGIN}),
        told.append,
    )
    keeping.start([OUTBOX])
    try:
        assert went_on.wait(PATIENCE_SECONDS)
    finally:
        keeping.stop()

    (only,) = told
    assert "Outbox shop/orders" in only
    assert "RuntimeError: an unexpected answer" in only
