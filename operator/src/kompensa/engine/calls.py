"""From a command to a call, and from its reply to an event.

Each participant is called so many times at once as it declares (`max_in_flight`). Waiting for a free place is no part
of an attempt's time-out, because a queue of ours says nothing about the participant. What may have changed during the
wait is asked with the place in hand: whether the lease still holds, whether the saga has turned back, and where the
participant is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import perf_counter

import structlog

from kompensa.engine.concurrency_limiter import ConcurrencyLimiter
from kompensa.engine.metrics import attempts, call_seconds
from kompensa.engine.running_saga import RunningSaga
from kompensa.model.commands import CallAction, CallCompensation, CallProbe
from kompensa.model.definition import Step
from kompensa.model.events import Event, Probed, Replied
from kompensa.model.expressions import ExpressionError
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.requests import Request, action_request, compensation_request, probe_request, unsendable
from kompensa.transport.port import Participant, Reply, Transport

# How often a call that a person holds looks whether it is still held.
_SUSPENDED_POLL_SECONDS = 0.5
_log = structlog.get_logger(__name__)
Call = CallAction | CallCompensation | CallProbe
# Wrong, in that nobody wants it any more: the model takes this for no effect, unless there was one before.
_NOT_SENT = Reply(
    outcome=Outcome.MISCONFIGURED,
    reason="NotSent",
    message="not sent: the saga turned back while the call waited for a place at its participant",
)


class Calls:
    """Makes calls while `permitted` lets it: an engine that cannot know whether it still owns a saga must not act."""

    def __init__(
        self,
        transport: Transport,
        *,
        find: Callable[[str, str], Participant | None],
        permitted: Callable[[], Awaitable[None]],
    ) -> None:
        self._transport = transport
        self._find = find
        self._permitted = permitted
        self._limiter = ConcurrencyLimiter(self._limit)

    async def make(self, running: RunningSaga, command: Call) -> Event:
        """Make the call and return what it means. Raises StaleLeaseError when the lease ends before it is made."""
        step = running.definition.steps[command.step]
        direction = Direction.COMPENSATION if isinstance(command, CallCompensation) else Direction.ACTION
        try:
            request = _request(running, step, command)
        except ExpressionError as error:
            return unsendable(command, error)
        reply = await self._reply(running, step, request, probing=isinstance(command, CallProbe))
        if reply is not _NOT_SENT:
            attempts(running.saga.definition, step.name, _asked(command, direction), reply.outcome.value).inc()
        if isinstance(command, CallProbe):
            if reply.outcome is Outcome.MISCONFIGURED:
                _log.warning("a probe was refused", saga=running.saga.id, step=step.name, message=reply.message)
            return Probed(
                step=command.step,
                attempt=command.attempt,
                outcome=reply.outcome,
                reply=reply.reply,
                reason=reply.reason,
                message=reply.message,
            )
        return Replied(
            step=command.step,
            direction=direction,
            attempt=command.attempt,
            outcome=reply.outcome,
            reply=reply.reply,
            reason=reply.reason,
            message=reply.message,
            retry_after=reply.retry_after,
        )

    async def _reply(self, running: RunningSaga, step: Step, request: Request, *, probing: bool) -> Reply:
        place = (running.saga.namespace, step.participant)
        while True:
            await self._limiter.acquire(place)
            try:
                await self._permitted()
                if running.saga.stopping and not probing:
                    return _NOT_SENT
                if not running.saga.suspended or probing:
                    return await self._sent(running, step, request, probing=probing)
            finally:
                self._limiter.release(place)
            await asyncio.sleep(_SUSPENDED_POLL_SECONDS)  # without a place, until a person lets it go on

    async def _sent(self, running: RunningSaga, step: Step, request: Request, *, probing: bool) -> Reply:
        participant = self._find(running.saga.namespace, step.participant)
        if participant is None:
            return Reply(
                outcome=Outcome.MISCONFIGURED,
                reason="ParticipantNotFound",
                message=f"there is no Participant {step.participant} in namespace {running.saga.namespace}; apply it",
            )
        started = perf_counter()
        ask = self._transport.probe if probing else self._transport.call
        try:
            reply = await ask(participant, running.saga.id, request)
        except Exception as error:
            # It must not raise, but if it does: without an outcome nobody would ever drive this saga again.
            _log.exception("a call failed in a way that nobody foresaw", saga=running.saga.id, step=step.name)
            reply = Reply(outcome=Outcome.UNKNOWN, reason="TransportFault", message=repr(error))
        call_seconds(step.participant).observe(perf_counter() - started)
        return reply

    def _limit(self, namespace: str, name: str) -> float:
        participant = self._find(namespace, name)
        return inf if participant is None else participant.max_in_flight  # one that is not there holds nobody up


def _request(running: RunningSaga, step: Step, command: Call) -> Request:
    match command:
        case CallAction():
            return action_request(running.definition, running.saga, step, command.attempt)
        case CallCompensation():
            return compensation_request(running.definition, running.saga, step, command.attempt)
        case CallProbe():
            return probe_request(running.definition, running.saga, step, command.attempt)


def _asked(command: Call, direction: Direction) -> str:
    return "probe" if isinstance(command, CallProbe) else direction.value
