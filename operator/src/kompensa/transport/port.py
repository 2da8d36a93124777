"""Calling a participant, as the engine sees it."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct

from kompensa.model.calls import Endpoint
from kompensa.model.outcomes import Outcome
from kompensa.model.requests import Request


class Participant(Struct, frozen=True, kw_only=True):
    """Where a participant is and how it may be called. The token is sent to it and shown nowhere."""

    namespace: str
    name: str
    endpoint: Endpoint
    max_in_flight: int
    token: str | None = None

    def __repr__(self) -> str:
        return f"Participant({self.namespace}/{self.name} at {self.endpoint})"


class Reply(Struct, frozen=True, kw_only=True):
    """What is known after a call. `reply` is the JSON object in the body, if there was one; `retry_after` seconds."""

    outcome: Outcome
    reply: dict[str, Any] | None = None
    reason: str | None = None
    message: str | None = None
    retry_after: float = 0.0


class Transport(Protocol):
    """Makes one attempt. Whatever goes wrong is an outcome, never an exception."""

    async def call(self, participant: Participant, saga_id: str, request: Request) -> Reply: ...

    async def probe(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        """Ask what became of an action: the outcome is the participant's answer, not the status of the question."""
        ...

    async def close(self) -> None: ...
