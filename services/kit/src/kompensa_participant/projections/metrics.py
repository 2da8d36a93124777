"""Prometheus metrics of a service's projections."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Gauge

from kompensa_eventstore.projections import Status

EVENTS = Gauge("kompensa_projection_events", "Events that a projection has passed", ["projection"])
BEHIND = Gauge(
    "kompensa_projection_events_behind", "Events that a projection has not passed yet, up to 10,000", ["projection"]
)
LAG = Gauge(
    "kompensa_projection_lag_seconds", "Age of the oldest event that a projection has not passed", ["projection"]
)
FAILING = Gauge("kompensa_projection_failing", "1 while an event or an error stops a projection", ["projection"])


def observe(statuses: Iterable[Status], troubles: Iterable[str]) -> None:
    """Take over the state of the projections, at the moment it is asked for."""
    stopped = set(troubles)
    for each in statuses:
        EVENTS.labels(projection=each.name).set(each.events)
        BEHIND.labels(projection=each.name).set(each.behind)
        LAG.labels(projection=each.name).set(each.lag_seconds)
        FAILING.labels(projection=each.name).set(each.failure is not None or each.name in stopped)
