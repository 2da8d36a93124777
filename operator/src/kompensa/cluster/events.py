"""Events: what a person must see, said once in `kubectl describe`. Pure builders.

The name follows from the object and the reason, so that a repeated write is a conflict instead of a second Event.
"""

from datetime import UTC, datetime
from typing import Literal

from kompensa.cluster.conditions import timestamp
from kompensa.cluster.resources import EVENTS, Object, Resource

_LONGEST_MESSAGE_CHARACTERS = 1024


def event(
    about: Resource,
    *,
    namespace: str,
    name: str,
    uid: str,
    reason: str,
    message: str,
    kind: Literal["Normal", "Warning"],
    component: str,
    at: datetime | None = None,
) -> Object:
    """A core/v1 Event about an object."""
    written_at = timestamp(at or datetime.now(UTC))
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{name[:200]}.{uid[:8]}.{reason.lower()}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": namespace,
            "name": name,
            "uid": uid,
        },
        "reason": reason,
        "message": message[:_LONGEST_MESSAGE_CHARACTERS],
        "type": kind,
        "source": {"component": component},
        "firstTimestamp": written_at,
        "lastTimestamp": written_at,
        "count": 1,
    }
