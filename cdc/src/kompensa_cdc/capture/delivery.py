"""Whether what is written arrives: the decision over heartbeats, pure."""

from dataclasses import dataclass, replace

from kompensa_cdc.capture.heartbeat import Heartbeat
from kompensa_cdc.capture.outbox import Outbox
from kompensa_cdc.capture.source import Slot

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The result of all heartbeats so far.

    Attributes
    ----------
    delivered
        When the last heartbeat that was seen in Kafka was sent, in seconds since the epoch; 0.0 if none was.
    seconds
        How long the last heartbeat took that came while it was waited for.
    waiting
        The place in the WAL of the oldest heartbeat that has not come; 0 if the last one came.
    confirmed
        Up to where the slot was confirmed.
    moved
        When something last came or the slot last moved, by the monotonic clock; None if that is not known.
    """

    delivered: float = 0.0
    seconds: float = 0.0
    waiting: int = 0
    confirmed: int = 0
    moved: float | None = None

    def after(self, beat: Heartbeat, slot: Slot) -> "Delivery":
        """The result with one more heartbeat."""
        if beat.seconds is not None:
            return Delivery(
                delivered=beat.sent, seconds=beat.seconds, waiting=0, confirmed=slot.confirmed, moved=beat.at
            )
        if beat.delivered not in (0.0, self.delivered):
            return replace(
                self, delivered=beat.delivered, waiting=beat.position, confirmed=slot.confirmed, moved=beat.at
            )
        waiting = self.waiting or beat.position
        # A slot that has passed a heartbeat which is not in Kafka moves, and delivers nothing.
        moves = self.confirmed and self.confirmed < slot.confirmed < waiting
        moved = beat.at if moves else self._moved_before(beat)
        return replace(self, waiting=waiting, confirmed=slot.confirmed, moved=moved)

    def stalls(self, now: float) -> bool:
        """Whether nothing has come for too long, at this time of the monotonic clock."""
        return bool(self.waiting) and self.moved is not None and now - self.moved > TIMEOUT_SECONDS

    def _moved_before(self, beat: Heartbeat) -> float:
        """After a start of the operator, only the time of day of the last heartbeat is known."""
        if self.moved is not None:
            return self.moved
        return beat.at - max(0.0, beat.sent - self.delivered) if self.delivered else beat.at


def stall_text(outbox: Outbox, delivery: Delivery, slot: Slot, *, topic: str, unpublished: str) -> str:
    """For a person: how long nothing has come, the likely cause, the place to look at."""
    since = "no heartbeat has come" if not delivery.delivered else f"no heartbeat has come for {TIMEOUT_SECONDS:g} s"
    if not slot.active:
        cause = (
            f"no session reads the slot {outbox.slot} although connector {outbox.connector} is RUNNING: it may still "
            "be reading the rows that were in the table at first, else restart it and look at its log"
        )
    elif slot.confirmed >= delivery.waiting:
        cause = (
            f"the slot {outbox.slot} is confirmed past a heartbeat that is not in topic {topic}: look for another "
            "reader of the slot, or for records that were deleted from the topic"
        )
    else:
        cause = (
            f"connector {outbox.connector} is RUNNING and reads the slot {outbox.slot}, but its records do not reach "
            "Kafka: look at Kafka Connect's log, and whether Connect reaches the brokers"
        )
    return f"{since} through slot, connector and topic {topic}: {cause}{unpublished}"
