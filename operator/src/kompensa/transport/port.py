"""The interface by which the engine calls participants."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct

from kompensa.model.calls import Endpoint
from kompensa.model.outcomes import Outcome
from kompensa.model.requests import Request


class Participant(Struct, frozen=True, kw_only=True):
    """A participant's address and how it may be called. The token is sent to the participant, and never shown."""

    namespace: str
    name: str
    endpoint: Endpoint
    max_in_flight: int
    token: str | None = None

    def __repr__(self) -> str:
        return f"Participant({self.namespace}/{self.name} at {self.endpoint})"


class Reply(Struct, frozen=True, kw_only=True):
    """The result of a call.

    Attributes
    ----------
    reply
        The JSON object in the body, if there was one.
    retry_after
        Seconds for which the participant asked not to be called again.
    """

    outcome: Outcome
    reply: dict[str, Any] | None = None
    reason: str | None = None
    message: str | None = None
    retry_after: float = 0.0


class Transport(Protocol):
    """Makes one attempt. An error becomes an outcome, never an exception."""

    async def call(self, participant: Participant, saga_id: str, request: Request) -> Reply: ...

    async def probe(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        """Ask whether an action took place. The outcome is that of the action, not of the question."""
        ...

    async def close(self) -> None: ...
