"""A transport that answers as a test says, and keeps a list of what it was asked."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable

from kompensa.model.outcomes import Outcome
from kompensa.model.requests import Request
from kompensa.transport.port import Participant, Reply

DONE = Reply(outcome=Outcome.SUCCEEDED, reply={})
REFUSED = Reply(outcome=Outcome.FAILED, reason="Refused", message="no")
NO_ANSWER = Reply(outcome=Outcome.UNKNOWN, reason="TimedOut", message="no answer")
WRONG = Reply(outcome=Outcome.MISCONFIGURED, reason="Http404", message="404")


class ScriptedTransport:
    """See `Transport`. Calls are spelled `action reserve`, `compensation reserve`, `probe reserve`.

    Attributes
    ----------
    calls
        The calls, in order.
    requests
        The same, as they would be sent.
    urls
        The addresses that they would be sent to.
    answers
        By call: the answers one after the other, the last one forever. Every other call succeeds.
    looked
        Called at each call, before it is answered.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.requests: list[Request] = []
        self.urls: list[str] = []
        self.answers: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self.looked: Callable[[str, str, Request], None] = lambda _saga, _call, _request: None
        self._gates: dict[str, asyncio.Event] = {}

    def answer(self, call: str, *replies: Reply) -> None:
        self.answers[call].extend(replies)

    def hold(self, call: str) -> None:
        """Let such calls wait for their answer until they are released."""
        self._gates[call] = asyncio.Event()

    def release(self, call: str) -> None:
        self._gates.pop(call).set()

    async def call(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        self.urls.append(participant.endpoint.url)
        return await self._answered(saga_id, f"{request.direction} {request.step}", request)

    async def probe(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        self.urls.append(participant.endpoint.url)
        return await self._answered(saga_id, f"probe {request.step}", request)

    async def close(self) -> None:
        pass

    async def _answered(self, saga_id: str, call: str, request: Request) -> Reply:
        self.calls.append(call)
        self.requests.append(request)
        self.looked(saga_id, call, request)
        gate = self._gates.get(call)
        if gate is not None:
            await gate.wait()
        replies = self.answers[call]
        if not replies:
            return DONE
        return replies.popleft() if len(replies) > 1 else replies[0]
