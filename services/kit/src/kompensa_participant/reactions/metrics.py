"""Prometheus metrics of a service's reactions."""

from __future__ import annotations

import math

from prometheus_client import Counter, Gauge, Histogram

from kompensa_participant.reactions.progress import ReactionsProgress

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300)

REACTIONS = Counter("kompensa_reactions_total", "Events that were read or retried, by result", ["topic", "outcome"])
SECONDS = Histogram("kompensa_reaction_seconds", "Time of one attempt to handle an event", ["topic"], buckets=_SECONDS)
DELAY = Histogram(
    "kompensa_reaction_delay_seconds", "From the event's time to the commit of its handler", ["topic"], buckets=_SECONDS
)
RETRIES = Counter("kompensa_reactions_database_retries_total", "Attempts repeated after trouble with the database")
WAITING = Gauge("kompensa_reactions_waiting", "Events in the inbox that are not settled", ["state"])
LAG = Gauge("kompensa_reactions_lag_records", "Events in the topics that were not read yet")
READY = Gauge("kompensa_reactions_ready", "1 while the service reads its topics and reports no problem")


def observe(progress: ReactionsProgress) -> None:
    """Take over the consumer's own state, at the moment it is asked for."""
    lag = progress.lag_records
    LAG.set(math.nan if lag is None else lag)
    READY.set(progress.ready)
    for state, count in progress.waiting.items():
        WAITING.labels(state=state).set(count)
