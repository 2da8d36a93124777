"""A connector that fails permanently is RUNNING for a moment after each restart, which must not look like health."""

from __future__ import annotations

import pytest

from kompensa_cdc.capture import reconcile
from kompensa_cdc.capture.connect import Connect, ConnectorState
from kompensa_cdc.capture.outbox import outbox_from_object
from kompensa_cdc.capture.status import FIRST_RESTART_SECONDS, OutboxStatus

OUTBOX = outbox_from_object("shop", "orders", {"table": "orders.outbox", "topicPrefix": "orders", "events": ["made"]})
FAILED = ConnectorState(connector="RUNNING", tasks=("FAILED",), trace="a record is too large")
RUNNING = ConnectorState(connector="RUNNING", tasks=("RUNNING",), trace=None)


class Restarting(Connect):
    """Counts what it is asked to restart."""

    asked = 0

    async def restart_failed(self, name: str) -> None:
        self.asked += 1


async def test_a_connector_is_believed_once_it_has_run_for_its_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("kompensa_cdc.capture.reconcile.time.time", lambda: now)
    connect, known = Restarting("http://nowhere"), OutboxStatus.fresh(OUTBOX)
    for number in range(1, 4):
        known = await reconcile._after(FAILED, OUTBOX, connect, known)
        assert (known.reason, known.restarts, connect.asked) == ("ConnectorFailed", number, number)
        now += 1
        known = await reconcile._after(RUNNING, OUTBOX, connect, known)
        assert (known.ready, known.reason, known.connector_state) == (False, "ConnectorFailed", "RUNNING")
        now += FIRST_RESTART_SECONDS * 2**number
    known = await reconcile._after(RUNNING, OUTBOX, connect, known)
    assert (known.ready, known.reason, known.restarts) == (True, "Capturing", 0)
