"""Conditions in the form of Kubernetes' metav1.Condition. Pure.

`lastTransitionTime` moves only when a condition's status does; a condition that is not mentioned keeps its last
value, so that a writer says only what it knows.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

Truth = Literal["True", "False", "Unknown"]

# The API server's bound on a condition's message.
_LONGEST_MESSAGE_CHARACTERS = 32768


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One statement about an object: what, whether, a CamelCase reason and a sentence for people."""

    type: str
    status: Truth
    reason: str
    message: str = ""


def timestamp(at: datetime | float) -> str:
    """UTC with seconds, as Kubernetes writes times."""
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merged(
    old: Sequence[dict[str, Any]] | None, said: Iterable[Condition], *, at: datetime | float, generation: int | None
) -> list[dict[str, Any]]:
    """The conditions to write: `old` updated by `said`, in the old order, new ones at the end."""
    known = {condition["type"]: condition for condition in old or []}
    for condition in said:
        known[condition.type] = _written(known.get(condition.type), condition, at, generation)
    return list(known.values())


def ready(reason: str, message: str = "") -> tuple[Condition, ...]:
    """All is as the spec asks."""
    return (
        Condition(type="Ready", status="True", reason=reason, message=message),
        Condition(type="Reconciling", status="False", reason=reason),
        Condition(type="Stalled", status="False", reason=reason),
    )


def working(reason: str, message: str) -> tuple[Condition, ...]:
    """Not yet as the spec asks; the operator tries again, and no person has to act."""
    return (
        Condition(type="Ready", status="False", reason=reason, message=message),
        Condition(type="Reconciling", status="True", reason=reason, message=message),
        Condition(type="Stalled", status="False", reason=reason),
    )


def stalled(reason: str, message: str) -> tuple[Condition, ...]:
    """Not as the spec asks; a person has to change something before trying again can help."""
    return (
        Condition(type="Ready", status="False", reason=reason, message=message),
        Condition(type="Reconciling", status="False", reason=reason),
        Condition(type="Stalled", status="True", reason=reason, message=message),
    )


def _written(
    old: dict[str, Any] | None, said: Condition, at: datetime | float, generation: int | None
) -> dict[str, Any]:
    unmoved = old is not None and old.get("status") == said.status and old.get("lastTransitionTime")
    written = {
        "type": said.type,
        "status": said.status,
        "reason": said.reason,
        "message": said.message[:_LONGEST_MESSAGE_CHARACTERS],
        "lastTransitionTime": old["lastTransitionTime"] if old is not None and unmoved else timestamp(at),
    }
    return written if generation is None else written | {"observedGeneration": generation}
