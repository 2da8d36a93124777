"""What reconciling an outbox found: one frozen record, and the pure rules over it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kompensa_cdc.capture.errors import CaptureError
from kompensa_cdc.capture.outbox import Outbox
from kompensa_common.backoff import Backoff

FIRST_RESTART_SECONDS = 5.0
LONGEST_RESTART_SECONDS = 300.0
_RESTARTS = Backoff(first=FIRST_RESTART_SECONDS, longest=LONGEST_RESTART_SECONDS, spread=0.0)


@dataclass(frozen=True, kw_only=True)
class OutboxStatus:
    """The state of one outbox's capture.

    `reason` and `message` are meant for the Ready condition. `slot_lost` stays true once a slot was found to be gone,
    and then `last_error` stays too: rows that were pruned in between can be missing downstream, and only a person
    can tell whether that matters.
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

    @classmethod
    def fresh(cls, outbox: Outbox) -> "OutboxStatus":
        return cls(connector=outbox.connector, slot=outbox.slot, publication=outbox.publication)

    def refused(self, error: CaptureError) -> "OutboxStatus":
        """What is known stays; Ready says what has to change first."""
        last_error = self.last_error if self.slot_lost else error.message
        return replace(self, ready=False, reason=error.reason, message=error.message, last_error=last_error)

    def lost(self, outbox: Outbox) -> "OutboxStatus":
        """The slot is gone: remember it, before anything is mended that would hide it."""
        return replace(
            self,
            ready=False,
            reason="SlotLost",
            message=f"slot {outbox.slot} is gone although connector {outbox.connector} uses it; it is made anew next",
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
        }


def remembered(outbox: Outbox, status: Mapping[str, Any]) -> OutboxStatus:
    """Rebuild what must outlive an operator's restart from the object's status: a slot that was lost."""
    fresh = OutboxStatus.fresh(outbox)
    if not _says_lost(outbox, status):
        return fresh
    return replace(fresh, slot_lost=True, last_error=slot_loss_text(outbox))


def _says_lost(outbox: Outbox, status: Mapping[str, Any]) -> bool:
    """By the field; an object that was last written before there was one says it in the words of its last error."""
    if "slotLost" in status:
        return bool(status["slotLost"])
    return str(status.get("lastError") or "").startswith(_loss(outbox))


def slot_loss_text(outbox: Outbox) -> str:
    return (
        f"{_loss(outbox)}: made anew, and every row still in "
        f"{outbox.table} is published again; rows deleted from it meanwhile never reach the topics: compare the copies"
    )


def _loss(outbox: Outbox) -> str:
    return f"slot {outbox.slot} was gone while connector {outbox.connector} used it"


def restart_pause(restarts: int) -> float:
    """Seconds to wait before restart number `restarts` + 1 of a failed connector: doubling, bounded."""
    return _RESTARTS.pause(restarts + 1)
