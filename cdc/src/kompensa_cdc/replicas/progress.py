"""How a worker is doing, as told by /status, /readyz and /metrics.

Written by the intake's thread and by the event loop, read by anyone; the two mappings are replaced whole, under a lock.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from kompensa_cdc.replicas.bookkeeping import Advance, Claim, Partition

HUNG_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class PartitionProgress:
    """`next_offset` is what the database holds, `end_offset` where the topic ends; None while nobody has asked."""

    next_offset: int
    applied: int = 0
    end_offset: int | None = None

    @property
    def lag(self) -> int:
        return max(0, (self.end_offset or 0) - self.next_offset)


class Progress:
    """The worker's face. A problem keeps it from being ready until it is cleared; `last_error` stays to be read."""

    def __init__(self, replica: str) -> None:
        self.replica = replica
        self.reading = False
        self.polled_at = time.monotonic()
        self.parked_keys = 0
        self.last_error = ""
        self.last_applied_time: datetime | None = None
        self.last_event_time: datetime | None = None
        self.problems: Mapping[str, str] = {}
        self.partitions: Mapping[Partition, PartitionProgress] = {}
        self._lock = Lock()

    @property
    def alive(self) -> bool:
        """False when the intake has hung: it polls all the time, whatever the database and Kafka do."""
        return not self.reading or time.monotonic() - self.polled_at < HUNG_SECONDS

    @property
    def ready(self) -> bool:
        return self.reading and not self.problems

    @property
    def applied_records(self) -> int:
        """Since the replica began (or was rewound), over the partitions that this worker holds."""
        return sum(partition.applied for partition in self.partitions.values())

    @property
    def lag_records(self) -> int:
        return sum(partition.lag for partition in self.partitions.values())

    @property
    def lag_seconds(self) -> float:
        """Age of the newest applied event while there are newer ones; 0 when the copy is up to date."""
        if not self.lag_records or self.last_event_time is None:
            return 0.0
        return max(0.0, (datetime.now(UTC) - self.last_event_time).total_seconds())

    def problem(self, thing: str, text: str) -> bool:
        """Note what is wrong with a thing (database, kafka, session); return whether that is news."""
        with self._lock:
            is_news = self.problems.get(thing) != text
            self.problems = {**self.problems, thing: text}
            self.last_error = text
        return is_news

    def cleared(self, thing: str) -> None:
        with self._lock:
            self.problems = {name: text for name, text in self.problems.items() if name != thing}

    def note(self, text: str) -> None:
        """Keep a text for `last_error` that does not stop the work."""
        self.last_error = text

    def hold(self, claims: Mapping[Partition, Claim]) -> None:
        held = {
            partition: PartitionProgress(next_offset=claim.next_offset, applied=claim.applied)
            for partition, claim in claims.items()
        }
        with self._lock:
            self.partitions = {**self.partitions, **held}

    def give_up(self, partitions: Iterable[Partition]) -> None:
        gone = set(partitions)
        with self._lock:
            self.partitions = {name: progress for name, progress in self.partitions.items() if name not in gone}

    def moved(self, moves: Iterable[Advance]) -> None:
        """The database holds these moves now."""
        with self._lock:
            partitions = dict(self.partitions)
            for move in moves:
                known = partitions.get((move.topic, move.partition))
                if known is not None:
                    applied = known.applied + move.records
                    partitions[move.topic, move.partition] = replace(
                        known, next_offset=move.next_offset, applied=applied
                    )
            self.partitions = partitions

    def is_ahead_of(self, stored: Mapping[Partition, int]) -> bool:
        """Whether we have written more of a partition than the database holds now: somebody rewound the replica.

        A new owner of a partition only ever moves it on, so being behind is no such sign.
        """
        return any(progress.next_offset > stored.get(name, 0) for name, progress in self.partitions.items())

    def ends(self, ends: Mapping[Partition, int]) -> None:
        """Where the topics end now, for those partitions that could be asked."""
        with self._lock:
            self.partitions = {
                name: replace(progress, end_offset=ends.get(name, progress.end_offset))
                for name, progress in self.partitions.items()
            }

    def as_json(self) -> dict[str, Any]:
        """The document of /status; the operator copies most of it into the Replica's status."""
        return {
            "replica": self.replica,
            "ready": self.ready,
            "lagRecords": self.lag_records,
            "lagSeconds": round(self.lag_seconds, 1),
            "appliedRecords": self.applied_records,
            "parkedKeys": self.parked_keys,
            "problems": list(self.problems.values()),
            "lastError": self.last_error,
            "lastAppliedTime": _instant(self.last_applied_time),
            "partitions": [
                {
                    "topic": topic,
                    "partition": partition,
                    "nextOffset": progress.next_offset,
                    "endOffset": progress.end_offset,
                    "lag": progress.lag,
                }
                for (topic, partition), progress in sorted(self.partitions.items())
            ],
        }


def _instant(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
