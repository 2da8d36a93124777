"""From a command to a call, and from its reply to an event.

At most `max_in_flight` calls to one participant run at a time. An attempt's time-out does not include the wait for a
slot, because our own queue says nothing about the participant. Things may change during that wait, so they are
checked with the slot in hand: whether the lease still holds, whether the saga has turned back, and where the
participant is.
"""

from __future__ import annotations

import asyncio
from math import inf
from time import perf_counter

import structlog

from kompensa.engine.concurrency_limiter import ConcurrencyLimiter
from kompensa.engine.declarations import Declarations
from kompensa.engine.held_lease import HeldLease
from kompensa.engine.metrics import attempts, call_seconds
from kompensa.engine.running_saga import RunningSaga
from kompensa.model.commands import CallAction, CallCompensation, CallProbe
from kompensa.model.definition import Step
from kompensa.model.events import Event, Probed, Replied
from kompensa.model.expressions import ExpressionError
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.requests import Request, action_request, compensation_request, probe_request, unsendable
from kompensa.transport.port import Reply, Transport

# A call of a suspended saga looks this often whether the saga goes on.
_SUSPENDED_POLL_SECONDS = 0.5
_log = structlog.get_logger(__name__)
Call = CallAction | CallCompensation | CallProbe
_NOT_SENT = Reply(
    outcome=Outcome.NOT_SENT,
    reason="NotSent",
    message="not sent: the saga turned back while the call waited for a free slot at its participant",
)


class Calls:
    """Makes calls while the lease surely holds: an engine that does not know whether it owns a saga must not act."""

    def __init__(self, transport: Transport, declarations: Declarations, held: HeldLease) -> None:
        self._transport = transport
        self._declarations = declarations
        self._held = held
        self._limiter = ConcurrencyLimiter(self._limit)

    async def make(self, running: RunningSaga, command: Call) -> Event:
        """Make the call and return the event that its reply means.

        Raises
        ------
        StaleLeaseError
            The lease ended before the call was made.
        """
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
                _log.warning("a probe was rejected", saga=running.saga.id, step=step.name, message=reply.message)
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
        key = (running.saga.namespace, step.participant)
        while True:
            await self._limiter.acquire(key)
            try:
                await self._held.permitted()
                if running.saga.stopping and not probing:
                    return _NOT_SENT
                if not running.saga.suspended or probing:
                    return await self._sent(running, step, request, probing=probing)
            finally:
                self._limiter.release(key)
            await asyncio.sleep(_SUSPENDED_POLL_SECONDS)  # without a slot, until a person resumes the saga

    async def _sent(self, running: RunningSaga, step: Step, request: Request, *, probing: bool) -> Reply:
        participant = self._declarations.participant(running.saga.namespace, step.participant)
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
            # A transport must not raise. If it does, the saga still needs an outcome: without one it would never go on.
            _log.exception("a call failed unexpectedly", saga=running.saga.id, step=step.name)
            reply = Reply(outcome=Outcome.UNKNOWN, reason="TransportFault", message=repr(error))
        call_seconds(step.participant).observe(perf_counter() - started)
        return reply

    def _limit(self, namespace: str, name: str) -> float:
        participant = self._declarations.participant(namespace, name)
        return inf if participant is None else participant.max_in_flight  # calls to an unknown one fail at once


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
