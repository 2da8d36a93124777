"""Writing an object's status: whole, guarded by uid, and only when it says something new.

An unchanged value is never written. It would cost the API server a request, and on kinds that others watch it hides
their next change.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from kompensa.cluster.conditions import Condition, merged
from kompensa.cluster.kube import ConflictError, Kube, NotFoundError
from kompensa.cluster.resources import Object, Resource


def status_of(obj: Object, fields: Object, said: Iterable[Condition], at: datetime) -> Object:
    """The status to write: `fields`, the observed generation, and the conditions that follow from the old ones."""
    generation = obj["metadata"].get("generation")
    old = (obj.get("status") or {}).get("conditions")
    present = {name: value for name, value in fields.items() if value is not None}
    return {
        "observedGeneration": generation,
        **present,
        "conditions": merged(old, said, at=at, generation=generation),
    }


async def write_status(kube: Kube, resource: Resource, obj: Object, fields: Object, said: Iterable[Condition]) -> bool:
    """Write the status if it differs from the one in `obj`, and note it there; False when nothing was written.

    If the object is gone, or another one has its name, nothing is written.
    """
    status = status_of(obj, fields, said, datetime.now(UTC))
    if status == obj.get("status"):
        return False
    metadata = obj["metadata"]
    try:
        await kube.set_status(resource, metadata["namespace"], metadata["name"], metadata["uid"], status)
    except (NotFoundError, ConflictError):
        return False
    obj["status"] = status
    return True
