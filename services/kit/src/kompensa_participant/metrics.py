"""Prometheus metrics every participant has."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("http_requests_total", "Requests answered", ["method", "path", "status"])
DURATION = Histogram(
    "http_request_duration_seconds",
    "Time to answer a request",
    ["method", "path"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
OPERATIONS = Counter(
    "kompensa_operations_total", "Operations of sagas answered, by what the barrier said", ["path", "state", "replayed"]
)
POOL = Gauge("database_pool_connections", "Connections to the database", ["state"])
POOL_WAITING = Gauge("database_pool_requests_waiting", "Requests that wait for a connection")


def observe_pool(stats: Mapping[str, int]) -> None:
    """Take over a pool's own counts, at the moment they are asked for."""
    size, idle = stats.get("pool_size", 0), stats.get("pool_available", 0)
    POOL.labels(state="idle").set(idle)
    POOL.labels(state="busy").set(size - idle)
    POOL_WAITING.set(stats.get("requests_waiting", 0))
