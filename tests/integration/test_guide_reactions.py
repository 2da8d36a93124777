"""docs/guides/react-to-events.md, followed to the letter on the local stack: from orders' outbox to a voucher."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kompensa_dev.checkout import checkout
from kompensa_dev.http import answers_ok
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.postgres import Login
from kompensa_dev.process import Program
from kompensa_dev.stack import Stack
from tests.support.http import call
from tests.support.shop import Shop
from tests.support.waiting import eventually

GUIDE = checkout() / "docs/guides/react-to-events.md"
FILE = re.compile(r"^`([a-z_./0-9]+\.py)`:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CUSTOMER = re.compile(r"<<'EOF'\n(.*?)^EOF$", re.DOTALL | re.MULTILINE)
SECONDS = 30.0


@dataclass(frozen=True)
class Vouchers:
    """The guide's service at work."""

    stack: Stack
    login: Login
    url: str
    environment: dict[str, str]

    def events(self, *arguments: str) -> str:
        argv = [sys.executable, "-m", "vouchers", "events", *arguments]
        environment = {**os.environ, **self.environment}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.login.url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def vouchers(stack: Stack, tmp_path: Path) -> Iterator[Vouchers]:
    """Sections 1 and 2, on a free port."""
    files = dict(FILE.findall(GUIDE.read_text(encoding="utf-8")))
    assert len(files) == 3
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    login, port = stack.postgres.create_database("vouchers"), Ports().take("vouchers")
    assert stack.kafka is not None
    environment = {
        "DATABASE_URL": login.url,
        "HOST": HOST,
        "PORT": str(port),
        "KOMPENSA_KAFKA": stack.kafka.bootstrap,
        "PYTHONPATH": str(tmp_path),
    }
    migrate, serve = (
        Program(name=f"vouchers-{verb}", argv=[sys.executable, "-m", "vouchers", verb], environment=environment)
        for verb in ("migrate", "serve")
    )
    stack.run.run_to_end(migrate, timeout=SECONDS)
    process = stack.run.start(serve)
    url = f"http://{HOST}:{port}"
    process.wait_ready(lambda: answers_ok(f"{url}/readyz"), what="/readyz", timeout=SECONDS)
    yield Vouchers(stack, login, url, environment)
    process.stop()


def test_a_customer_gets_a_voucher_once_the_parked_event_is_retried(vouchers: Vouchers) -> None:
    (text,) = CUSTOMER.findall(GUIDE.read_text(encoding="utf-8"))
    shop = Shop(vouchers.stack.ports.urls, vouchers.stack.callers.of_caller("backoffice").get)
    customer = shop.call("orders", "POST", "/customers", json.loads(text)).ok()["id"]

    (parked,) = eventually(
        lambda: [
            event
            for event in call("GET", f"{vouchers.url}/reactions/events?state=Parked").ok()["events"]
            if event["key"] == customer
        ],
        "the event to be parked",
    )
    assert parked["attempts"] == 3
    assert "there is no campaign" in parked["error"]
    assert 'kompensa_reactions_waiting{state="Parked"}' in call("GET", f"{vouchers.url}/metrics").body
    assert parked["eventId"] in vouchers.events("list")
    assert "ana@example.com" in vouchers.events("show", parked["eventId"])

    vouchers.rows("INSERT INTO vouchers.campaigns VALUES ('welcome', 10) RETURNING 1")
    vouchers.events("retry", parked["eventId"])
    granted = f"SELECT percent FROM vouchers.vouchers WHERE orders_customer_id = '{customer}'"
    assert eventually(lambda: vouchers.rows(granted), "the voucher") == [(10,)]
    event = f"SELECT event_type FROM vouchers.outbox WHERE payload ->> 'customerId' = '{customer}'"
    assert vouchers.rows(event) == [("voucher-granted",)]
