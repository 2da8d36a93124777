"""The state of a replica's worker: its consumer's, and the parked keys of its copy."""

from typing import Any

from kompensa_consumer import Progress


class ReplicaProgress(Progress):
    """The state of one worker, as /status, /readyz and /metrics show it. Its name is the Replica's."""

    parked_keys = 0

    def as_json(self) -> dict[str, Any]:
        """The document of /status; the operator copies most of it into the Replica's status."""
        return {"replica": self.name, **super().as_json(), "parkedKeys": self.parked_keys}
