"""The engine's metrics. Dashboards and alerts use their names."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram

from kompensa.journal.errors import JournalUnavailableError

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600)

STARTED = Counter("kompensa_sagas_started", "Sagas accepted", ["namespace", "definition"])
RESTED = Counter("kompensa_sagas_finished", "Sagas that came to rest", ["namespace", "definition", "phase"])
DURATION = Histogram("kompensa_saga_seconds", "Acceptance to rest", ["namespace", "definition", "phase"], buckets=_SLOW)
ATTEMPTS = Counter("kompensa_step_attempts", "Calls by outcome", ["definition", "step", "direction", "outcome"])
CALL_SECONDS = Histogram("kompensa_call_seconds", "One call of a participant", ["participant"], buckets=_QUICK)
IN_FLIGHT = Gauge("kompensa_sagas_in_flight", "Sagas in this engine's memory")
PARKED = Gauge("kompensa_sagas_parked", "Sagas of this engine's shards that wait for a person")
STALLED = Gauge("kompensa_sagas_stalled", "Sagas that did not move although their time had come")
RECOVERED = Counter("kompensa_sagas_recovered", "Sagas taken over from the journal")
REJECTED = Counter("kompensa_journal_rejected", "Writes that PostgreSQL refuses; their sagas stall")
BATCH = Histogram("kompensa_journal_batch_size", "Sagas in one commit", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
COMMIT_SECONDS = Histogram("kompensa_journal_commit_seconds", "One commit", buckets=_QUICK)
UNAVAILABLE = Counter("kompensa_journal_unavailable", "Commits that the journal did not answer")
EPOCH = Gauge("kompensa_lease_epoch", "The epoch of this engine's lease; 0 without one")
SHARDS = Gauge("kompensa_lease_shards", "Shards this engine owns")
FENCED = Counter("kompensa_lease_lost", "Leases this engine lost to another")
REPORTING = Gauge("kompensa_status_waiting", "Ended sagas whose object does not say so yet")
PRUNED = Counter("kompensa_sagas_pruned", "Sagas deleted from the journal after their retention")


# Finding a child by its labels takes a lock and a tuple of copies each time; the hot path keeps them.
attempts = lru_cache(maxsize=4096)(ATTEMPTS.labels)
call_seconds = lru_cache(maxsize=1024)(CALL_SECONDS.labels)
started = lru_cache(maxsize=1024)(STARTED.labels)
rested = lru_cache(maxsize=4096)(RESTED.labels)
duration = lru_cache(maxsize=4096)(DURATION.labels)


class CommitMetrics:
    """See `CommitObserver`. `trouble` is what readiness says while the journal does not answer."""

    def __init__(self) -> None:
        self.trouble: str | None = None

    def committed(self, size: int, seconds: float) -> None:
        """See `CommitObserver.committed`."""
        self.trouble = None
        BATCH.observe(size)
        COMMIT_SECONDS.observe(seconds)

    def unavailable(self, error: JournalUnavailableError, attempt: int) -> None:
        """See `CommitObserver.unavailable`."""
        self.trouble = f"the journal does not answer ({attempt} tries): {error}"
        UNAVAILABLE.inc()
