"""A worker's answer as the status of its Replica. Pure."""

from typing import Any

from kompensa.cluster.conditions import Condition, ready, working
from kompensa.cluster.resources import Object

# These change with every record. Alone, they are not worth a write each time.
MOVING = frozenset({"lagRecords", "lagSeconds", "appliedRecords", "lastAppliedTime"})
BEHIND_SECONDS = 10.0  # a busy copy always has a record on its way, and is not behind for that
_KEPT = (*sorted(MOVING), "parkedKeys", "lastError")


def replica_fields(answer: dict[str, Any]) -> Object:
    """The status' own fields, out of the worker's /status."""
    return {name: answer[name] for name in _KEPT if answer.get(name) is not None}


def replica_conditions(answer: dict[str, Any]) -> tuple[Condition, ...]:
    """Following, not yet, or following except for keys that a person has to look at."""
    if not answer.get("ready"):
        problems = "; ".join(answer.get("problems") or []) or "the worker is not reading yet"
        return working("WorkerNotReady", problems)
    parked = int(answer.get("parkedKeys") or 0)
    if not parked:
        return ready("Following", _how_it_follows(answer))
    message = f"{parked} key(s) wait for a person: {answer.get('lastError') or 'their events could not be applied'}"
    following, reconciling, _ = ready("KeysParked", message)
    return (following, reconciling, Condition(type="Stalled", status="True", reason="KeysParked", message=message))


def _how_it_follows(answer: dict[str, Any]) -> str:
    """Without numbers, which would be news each time."""
    lag, seconds = answer.get("lagRecords"), answer.get("lagSeconds")
    if lag is None:
        return "the worker reads; how much waits is not known yet"
    if lag and (seconds is None or seconds >= BEHIND_SECONDS):
        return "catching up: status.lagRecords counts the records that wait to be applied"
    return "every record is applied as it arrives"


def steady(status: Object) -> Object:
    """The part of a status that is worth a write whenever it changes."""
    return {name: value for name, value in status.items() if name not in MOVING}
