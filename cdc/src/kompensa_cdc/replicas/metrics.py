"""Prometheus metrics of a worker. Gauges such as the lag are read from its Progress at each scrape."""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from kompensa_cdc.replicas.progress import ReplicaProgress

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 15, 60, 300)


class Metrics:
    """One worker's instruments, in a registry of their own."""

    def __init__(self, progress: ReplicaProgress) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.records = Counter(
            "kompensa_replica_records",
            "Events read, and then applied, parked or superseded.",
            ["replica"],
            registry=self.registry,
        ).labels(progress.name)
        self.rows = Counter(
            "kompensa_replica_rows", "Rows of the copy written.", ["replica"], registry=self.registry
        ).labels(progress.name)
        self.parked = Counter(
            "kompensa_replica_parked_events",
            "Events parked, as they could not be applied.",
            ["replica"],
            registry=self.registry,
        ).labels(progress.name)
        self.retries = Counter(
            "kompensa_replica_retries", "Retries after trouble with the database.", ["replica"], registry=self.registry
        ).labels(progress.name)
        self.delay = Histogram(
            "kompensa_replica_delay_seconds",
            "From the owner's commit to the copy's, of the oldest event in each batch.",
            ["replica"],
            buckets=_SECONDS,
            registry=self.registry,
        ).labels(progress.name)
        self._gauge("kompensa_replica_lag_records", "Events not applied yet.", lambda: _lag(progress), progress)
        self._gauge("kompensa_replica_parked_keys", "Keys that are parked.", lambda: progress.parked_keys, progress)
        self._gauge(
            "kompensa_replica_ready",
            "1 while the worker reads and reports no problem.",
            lambda: int(progress.ready),
            progress,
        )

    def _gauge(self, name: str, text: str, read: Callable[[], float], progress: ReplicaProgress) -> None:
        Gauge(name, text, ["replica"], registry=self.registry).labels(progress.name).set_function(read)


def _lag(progress: ReplicaProgress) -> float:
    """NaN while the lag is not known, as 0 would mean "up to date"."""
    lag = progress.lag_records
    return math.nan if lag is None else lag
