"""The result of reconciling an outbox: one frozen record, and the pure rules over it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from kompensa_cdc.capture.delivery import Delivery
from kompensa_cdc.capture.errors import CaptureError, TableError
from kompensa_cdc.capture.outbox import Outbox
from kompensa_cdc.capture.unpublishable import Search
from kompensa_common.backoff import Backoff

FIRST_RESTART_SECONDS = 5.0
LONGEST_RESTART_SECONDS = 300.0
_RESTARTS = Backoff(first=FIRST_RESTART_SECONDS, longest=LONGEST_RESTART_SECONDS, spread=0.0)


@dataclass(frozen=True, kw_only=True)
class OutboxStatus:
    """The state of one outbox's capture.

    `reason` and `message` are meant for the Ready condition. `slot_lost` stays true once a slot was found to be gone,
    and then `last_error` stays too: rows that were pruned in between can be missing downstream, and only a person
    can decide whether that matters.

    Attributes
    ----------
    published
        OIDs of the table and its partitions whose rows have all come into the stream. None: not known yet. A table
        that was recreated by a migration has another OID, so that its rows are published again.
    barrier
        The first transaction that began after the publication was repaired; None if it was not.
    """

    connector: str
    slot: str
    publication: str
    connector_state: str = "Absent"
    lag_bytes: int = 0
    ready: bool = False
    reason: str = "Pending"
    message: str = ""
    last_error: str = ""
    slot_lost: bool = False
    restarts: int = 0
    restart_at: float = 0.0
    published: frozenset[int] | None = None
    barrier: int | None = None
    delivery: Delivery = field(default_factory=Delivery)
    search: Search = field(default_factory=Search)

    @classmethod
    def fresh(cls, outbox: Outbox) -> "OutboxStatus":
        return cls(connector=outbox.connector, slot=outbox.slot, publication=outbox.publication)

    def with_error(self, error: CaptureError) -> "OutboxStatus":
        """Not ready because of this error; everything else that is known stays."""
        known = self.unready(error.reason, error.message)
        return known.with_rows_missed() if isinstance(error, TableError) and error.rows_missed else known

    def unready(self, reason: str, message: str) -> "OutboxStatus":
        """Not ready for this reason; everything else that is known stays."""
        last_error = self.last_error if self.slot_lost else message
        return replace(self, ready=False, reason=reason, message=message, last_error=last_error)

    def with_rows_missed(self) -> "OutboxStatus":
        """Rows may have been kept from the stream: all that are in the table are published again, once that is over.

        Before the first capture there is nothing to forget: its first reading publishes them.
        """
        return self if self.published is None else replace(self, published=frozenset(), barrier=None)

    def lost(self, outbox: Outbox) -> "OutboxStatus":
        """The slot is gone: remember it, before anything is repaired that would hide it."""
        return replace(
            self,
            ready=False,
            reason="SlotLost",
            message=(
                f"slot {outbox.slot} is gone, or its publication, although connector {outbox.connector} uses it; "
                "it is recreated next"
            ),
            slot_lost=True,
            last_error=slot_loss_text(outbox),
        )

    def as_status(self) -> dict[str, Any]:
        """The fields of the `Outbox` object's status, without conditions."""
        return {
            "connector": self.connector,
            "slot": self.slot,
            "publication": self.publication,
            "connectorState": self.connector_state,
            "lagBytes": self.lag_bytes,
            "lastError": self.last_error,
            "slotLost": self.slot_lost,
            "deliverySeconds": round(self.delivery.seconds, 2),
            **self._delivered(),
            **({} if self.published is None else {"publishedTables": sorted(self.published)}),
        }

    def _delivered(self) -> dict[str, str]:
        if not self.delivery.delivered:
            return {}
        at = datetime.fromtimestamp(self.delivery.delivered, UTC)
        return {"lastDelivered": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def remembered(outbox: Outbox, status: Mapping[str, Any]) -> OutboxStatus:
    """Rebuild the status from the object's, for an operator that starts again.

    It holds whether a slot was lost, which tables' rows have all been published, and when the last heartbeat came.
    """
    fresh = OutboxStatus.fresh(outbox)
    tables, delivered = status.get("publishedTables"), status.get("lastDelivered")
    known = replace(
        fresh,
        published=None if tables is None else frozenset(int(oid) for oid in tables),
        delivery=Delivery(delivered=datetime.fromisoformat(delivered).timestamp() if delivered else 0.0),
    )
    if not _says_lost(outbox, status):
        return known
    return replace(known, slot_lost=True, last_error=slot_loss_text(outbox))


def _says_lost(outbox: Outbox, status: Mapping[str, Any]) -> bool:
    """By the field; an object that was last written before there was one says it in the words of its last error."""
    if "slotLost" in status:
        return bool(status["slotLost"])
    return str(status.get("lastError") or "").startswith(_loss(outbox))


def slot_loss_text(outbox: Outbox) -> str:
    return (
        f"{_loss(outbox)}: it was recreated, and every row still in "
        f"{outbox.table} is published again; rows deleted from it meanwhile never reach the topics: compare the copies"
    )


def _loss(outbox: Outbox) -> str:
    return f"slot {outbox.slot} was gone while connector {outbox.connector} used it"


def restart_pause(restarts: int) -> float:
    """Seconds to wait before restart number `restarts` + 1 of a failed connector: doubling, bounded."""
    return _RESTARTS.pause(restarts + 1)
