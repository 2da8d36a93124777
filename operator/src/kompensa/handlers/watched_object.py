"""An object as the watch delivered it, with the few fields that every handler asks for."""

from dataclasses import dataclass
from typing import Any

from kompensa.cluster.resources import Object

Version = tuple[str, int, bool, bool]
"""Differs between two events of a name if there is work to do; the same after a write to the status only."""


@dataclass(frozen=True, slots=True)
class WatchedObject:
    """The newest known state of an object; `deleted` when the watch says that it is gone."""

    raw: Object
    deleted: bool = False

    @property
    def namespace(self) -> str:
        return str(self.raw["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.raw["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.raw["metadata"]["uid"])

    @property
    def generation(self) -> int:
        return int(self.raw["metadata"].get("generation") or 1)

    @property
    def being_deleted(self) -> bool:
        """Deletion was asked for and waits for finalizers."""
        return "deletionTimestamp" in self.raw["metadata"]

    @property
    def spec_as_written(self) -> dict[str, Any]:
        """The spec for the parsers and for the engine, which keeps it as it was written. Handlers use parsed specs."""
        return self.raw.get("spec") or {}

    @property
    def status(self) -> dict[str, Any]:
        return self.raw.get("status") or {}

    @property
    def fields(self) -> dict[str, Any]:
        """The status' own fields, for a writer that has news about the conditions only."""
        return {name: value for name, value in self.status.items() if name not in ("conditions", "observedGeneration")}

    @property
    def key(self) -> str:
        """One key for all objects that ever have this name, so that an old one's end cannot overtake a new one."""
        return f"{self.namespace}/{self.name}"

    @property
    def version(self) -> Version:
        """The API server counts the generation up with every change of the spec."""
        return self.uid, self.generation, self.deleted, self.being_deleted
