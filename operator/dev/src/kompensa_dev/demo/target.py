"""The requirements of the demo on the place that it runs in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kompensa_dev.demo.shop_client import ShopClient

View = Mapping[str, Any]
"""A saga as the engine's API shows it."""


@dataclass(frozen=True, kw_only=True)
class ReplicaLine:
    """One copy in the closing table."""

    name: str
    target: str
    applied: int
    lag: int
    parked: int


@dataclass(frozen=True, kw_only=True)
class Hint:
    """A command to go on with, and what it does."""

    command: str
    purpose: str


class Target(Protocol):
    """A running system: the cluster, or the local stack."""

    shop: ShopClient
    kafka: str
    """Bootstrap address."""
    placing: str
    """The command by which `place` starts a saga, for the reader."""

    async def place(self, name: str, order: Mapping[str, Any]) -> None:
        """Start `create-order` as a saga of this name."""
        ...

    async def saga(self, name: str) -> View:
        """The saga as the engine sees it now."""
        ...

    async def saga_view(self, name: str) -> View:
        """The saga as its user sees it: the status of its object, if it has one."""
        ...

    async def sagas(self) -> Sequence[View]: ...

    async def replicas(self) -> Sequence[ReplicaLine]: ...

    async def stop_service(self, service: str) -> None:
        """Returns when the service no longer answers."""
        ...

    async def start_service(self, service: str) -> None:
        """Start a stopped service; returns at once."""
        ...

    async def kill_engine(self) -> str:
        """Kill the engine as a crash would; returns what was killed."""
        ...

    async def engine_back(self) -> None:
        """Returns when an engine answers again."""
        ...

    def hints(self) -> Sequence[Hint]: ...
