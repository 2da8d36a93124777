"""The same order in both styles on the cluster: orchestrated by the engine, and choreographed by events.

The choreographed order's time is taken by the clock of orders' database: from the request to the confirmed order. A
caller that asks for the outcome would add its own pauses.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.bench.figures import Figure, figure, milliseconds
from tests.bench.sagas import over_http
from tests.support.cluster import Cluster
from tests.support.waiting import eventually

IN_FLIGHT = (1, 16)


def by_events(cluster: Cluster, count: int, in_flight: int) -> Figure:
    """Orders placed at `POST /placements`, each waited for before the next of its thread."""
    order = cluster.shop.scene(stock=10_000_000, balance="900000000.00").order()

    def one(_: int) -> float:
        saga = cluster.shop.call("orders", "POST", "/placements", order).ok()["sagaId"]
        placement = eventually(lambda: _ended(cluster, saga), f"the end of order {saga}", seconds=60)
        if placement["status"] != "placed":
            raise RuntimeError(f"expected placed, got {json.dumps(placement)[:500]}")
        return milliseconds(placement["createdAt"], placement["endedAt"])

    one(0)  # the tokens, the connections, the caches
    started = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as pool:
        took = list(pool.map(one, range(count)))
    return figure(f"choreographed, {in_flight} in flight", took, elapsed=time.perf_counter() - started)


def lines(cluster: Cluster, count: int) -> Iterator[str]:
    for in_flight in IN_FLIGHT:
        yield over_http(cluster, count, in_flight).line().replace("over HTTP", "orchestrated", 1)
        yield by_events(cluster, count, in_flight).line()


def _ended(cluster: Cluster, saga: str) -> dict[str, Any] | None:
    placement: dict[str, Any] = cluster.shop.call("orders", "GET", f"/placements/{saga}").ok()
    return placement if placement["endedAt"] else None
