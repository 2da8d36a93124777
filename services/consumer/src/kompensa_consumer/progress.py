"""The state of a worker, as /status, /readyz and /metrics show it.

The reader's thread and the event loop write it, and any thread may read it: the two mappings are replaced as a whole,
under a lock.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from kompensa_consumer.offsets import Advance, Claim, Partition

HUNG_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class PartitionProgress:
    """One partition: how far the consumer is, and where the topic ends.

    Attributes
    ----------
    next_offset
        The next offset to read, as the database holds it.
    applied
        Events applied since the consumer began, or was rewound.
    end_offset
        The offset after the last record of the topic; None until Kafka has reported it.
    held
        Whether this worker holds the partition in its current session. After a session the rest stays known.
    """

    next_offset: int
    applied: int = 0
    end_offset: int | None = None
    held: bool = True

    @property
    def lag(self) -> int | None:
        return None if self.end_offset is None else max(0, self.end_offset - self.next_offset)


class Progress:
    """The state of one worker. It is not ready while it has a problem. `last_error` stays after the problem is over."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reading = False
        self.polled_at = time.monotonic()
        self.last_error = ""
        self.last_applied_time: datetime | None = None
        self.last_event_time: datetime | None = None
        self.problems: Mapping[str, str] = {}
        self.partitions: Mapping[Partition, PartitionProgress] = {}
        self._lock = Lock()

    @property
    def alive(self) -> bool:
        """False if the reader hangs. It polls all the time, even while the database or Kafka is in trouble."""
        return not self.reading or time.monotonic() - self.polled_at < HUNG_SECONDS

    @property
    def ready(self) -> bool:
        return self.reading and not self.problems

    @property
    def applied_records(self) -> int:
        """Events applied since the consumer began, or was rewound, over the partitions that this worker knows."""
        return sum(partition.applied for partition in self.partitions.values())

    @property
    def lag_records(self) -> int | None:
        """Records that wait, over all known partitions; None until the lag of each of them is known."""
        lags = [partition.lag for partition in self.partitions.values()]
        known = [lag for lag in lags if lag is not None]
        return sum(known) if known and len(known) == len(lags) else None

    @property
    def lag_seconds(self) -> float | None:
        """Age of the newest applied event while newer ones wait; 0 if none wait, None if not known."""
        if self.lag_records == 0:
            return 0.0
        if self.lag_records is None or self.last_event_time is None:
            return None
        return max(0.0, (datetime.now(UTC) - self.last_event_time).total_seconds())

    @property
    def is_up_to_date(self) -> bool:
        """Whether this worker reads and nothing waits. Partitions known from an ended session do not count."""
        return self.lag_records == 0 and all(partition.held for partition in self.partitions.values())

    def report_problem(self, thing: str, text: str) -> bool:
        """Report what is wrong with a thing (database, kafka, session); return whether the text is a new one."""
        with self._lock:
            is_news = self.problems.get(thing) != text
            self.problems = {**self.problems, thing: text}
            self.last_error = text
        return is_news

    def clear_problem(self, thing: str) -> None:
        with self._lock:
            self.problems = {name: text for name, text in self.problems.items() if name != thing}

    def note(self, text: str) -> None:
        """Show a text as `last_error` without ceasing to be ready."""
        self.last_error = text

    def assign(self, claims: Mapping[Partition, Claim]) -> None:
        """Add claimed partitions to those that the session holds, and drop those known from an earlier session.

        The dropped ones are either among the claimed ones, or another worker has them now.
        """
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
        """Drop partitions that another worker has now. Those known from an ended session stay."""
        gone = set(partitions)
        with self._lock:
            self.partitions = {
                name: progress for name, progress in self.partitions.items() if name not in gone or not progress.held
            }

    def release(self, partitions: Iterable[Partition] | None = None) -> None:
        """Mark partitions (or all, at a session's end) as not held. They stay known until the next claim."""
        gone = set(self.partitions if partitions is None else partitions)
        with self._lock:
            self.partitions = {
                name: replace(progress, held=progress.held and name not in gone)
                for name, progress in self.partitions.items()
            }

    def moved(self, moves: Iterable[Advance]) -> None:
        """Take in moves that the database has committed."""
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
        """Whether a user has rewound the consumer: this worker has written more of a partition than is stored now.

        Being behind proves nothing, since a new owner of a partition only moves its offset on.
        """
        return any(
            progress.held and progress.next_offset > stored.get(name, 0) for name, progress in self.partitions.items()
        )

    def ends(self, ends: Mapping[Partition, int]) -> None:
        """Take in the ends of the topics, for the partitions whose end is known."""
        with self._lock:
            self.partitions = {
                name: replace(progress, end_offset=ends.get(name, progress.end_offset))
                for name, progress in self.partitions.items()
            }

    def as_json(self) -> dict[str, Any]:
        """The state as a JSON document."""
        return {
            "ready": self.ready,
            "lagRecords": self.lag_records,
            "lagSeconds": None if self.lag_seconds is None else round(self.lag_seconds, 1),
            "appliedRecords": self.applied_records,
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
