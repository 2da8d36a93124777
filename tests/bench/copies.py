"""From the commit of a customer's change to its copy: both instants are read from the databases' own clocks."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.bench.figures import figure, milliseconds
from tests.support.cluster import Cluster

COPIED = "SELECT orders_customer_id, source_version, synced_at FROM {service}.customers"
CHANGED = "SELECT aggregate_id, aggregate_version, occurred_at FROM orders.outbox"


def lines(cluster: Cluster, count: int, rate: float) -> list[str]:
    """Create `count` customers at `rate` a second; each one's copy carries the instant it was written.

    `occurred_at` is the beginning of the transaction and `synced_at` the replica's write, so the figure includes the
    commit itself. Both databases run on the same machine and share its clock.
    """
    marker = uuid.uuid4().hex[:8]
    ids = _create(cluster, count, rate, marker)
    for service in ("invoices", "shipping"):
        cluster.eventually(partial(_all_copied, cluster, service, ids), what=f"copies in {service}", seconds=120)
    changed = {row["aggregate_id"]: row["occurred_at"] for row in cluster.databases.rows("orders", CHANGED)}
    shown = []
    for service in ("invoices", "shipping"):
        copied = _copied(cluster, service)
        took = [milliseconds(changed[key], copied[key]) for key in ids]
        shown.append(figure(f"commit -> copy in {service}, {rate:.0f}/s", took).line())
    return shown


def _create(cluster: Cluster, count: int, rate: float, marker: str) -> set[str]:
    started = time.perf_counter()

    def one(number: int) -> str:
        due = started + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        return str(cluster.shop.customer(name=f"Bench {marker}")["id"])

    with ThreadPoolExecutor(16) as pool:
        return set(pool.map(one, range(count)))


def _copied(cluster: Cluster, service: str) -> dict[str, str]:
    rows = cluster.databases.rows(service, COPIED.format(service=service))
    return {row["orders_customer_id"]: row["synced_at"] for row in rows}


def _all_copied(cluster: Cluster, service: str, ids: set[str]) -> bool:
    return ids <= set(_copied(cluster, service))
