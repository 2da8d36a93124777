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
    """`next_offset` is what the database holds, `end_offset` where the topic ends; None while nobody has asked.

    `held`: by this worker, in the session that is on. Between two sessions what is known stays, held by nobody.
    """

    next_offset: int
    applied: int = 0
    end_offset: int | None = None
    held: bool = True

    @property
    def lag(self) -> int | None:
        return None if self.end_offset is None else max(0, self.end_offset - self.next_offset)


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
    def lag_records(self) -> int | None:
        """What waits, over the partitions that are known; None while it is not known of each."""
        lags = [partition.lag for partition in self.partitions.values()]
        known = [lag for lag in lags if lag is not None]
        return sum(known) if known and len(known) == len(lags) else None

    @property
    def lag_seconds(self) -> float | None:
        """Age of the newest applied event while there are newer ones; 0 when there are none, None if not known."""
        if self.lag_records == 0:
            return 0.0
        if self.lag_records is None or self.last_event_time is None:
            return None
        return max(0.0, (datetime.now(UTC) - self.last_event_time).total_seconds())

    @property
    def is_up_to_date(self) -> bool:
        """Whether this worker reads and nothing waits; what is left over from an ended session says nothing."""
        return self.lag_records == 0 and all(partition.held for partition in self.partitions.values())

    def report_problem(self, thing: str, text: str) -> bool:
        """Note what is wrong with a thing (database, kafka, session); return whether that is news."""
        with self._lock:
            is_news = self.problems.get(thing) != text
            self.problems = {**self.problems, thing: text}
            self.last_error = text
        return is_news

    def clear_problem(self, thing: str) -> None:
        with self._lock:
            self.problems = {name: text for name, text in self.problems.items() if name != thing}

    def note(self, text: str) -> None:
        """Keep a text for `last_error` that does not stop the work."""
        self.last_error = text

    def assign(self, claims: Mapping[Partition, Claim]) -> None:
        """The session holds these too now; what an earlier session left is known better or has another owner."""
        with self._lock:
            held = {name: progress for name, progress in self.partitions.items() if progress.held}
            for name, claim in claims.items():
                known = self.partitions.get(name)
                end_offset = known.end_offset if known is not None else None
                held[name] = PartitionProgress(
                    next_offset=claim.next_offset, applied=claim.applied, end_offset=end_offset
                )
            self.partitions = held

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """Another worker has these now; what an ended session left behind stays."""
        gone = set(partitions)
        with self._lock:
            self.partitions = {
                name: progress for name, progress in self.partitions.items() if name not in gone or not progress.held
            }

    def release(self, partitions: Iterable[Partition] | None = None) -> None:
        """Nobody is known to hold these (or any, at a session's end): what is known of them stays until a new claim."""
        gone = set(self.partitions if partitions is None else partitions)
        with self._lock:
            self.partitions = {
                name: replace(progress, held=progress.held and name not in gone)
                for name, progress in self.partitions.items()
            }

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
        return any(
            progress.held and progress.next_offset > stored.get(name, 0) for name, progress in self.partitions.items()
        )

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
            "lagSeconds": None if self.lag_seconds is None else round(self.lag_seconds, 1),
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
