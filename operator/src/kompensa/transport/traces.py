"""Spans of sagas and of the calls to participants.

The places of spans follow from ids that are in the journal: the saga's id is the trace's, and the key and the number of
an attempt give its span. So every engine continues the same trace, even after a crash.
"""

from __future__ import annotations

import time
from hashlib import blake2b

from kompensa.model.outcomes import Outcome
from kompensa.model.requests import Request
from kompensa.model.saga import Phase, Saga
from kompensa.transport.port import Participant, Reply, Transport
from kompensa_common.tracing import Span, Spans, TraceContext

ENGINE = "kompensa-engine"
"""The engine's name in traces."""


def saga_context(saga_id: str) -> TraceContext:
    """The place of the saga's own span, which is above all others of its trace."""
    return _context(saga_id, saga_id)


def attempt_context(saga_id: str, key: str, attempt: int) -> TraceContext:
    """The place of one attempt of a call."""
    return _context(saga_id, f"{key}/{attempt}")


def saga_span(saga: Saga) -> Span:
    """The span of a saga that has ended, from its acceptance to its end."""
    attributes = {
        "kompensa.saga.id": saga.id,
        "kompensa.saga.namespace": saga.namespace,
        "kompensa.saga.definition": saga.definition,
        "kompensa.saga.phase": saga.phase.value,
    }
    return Span(
        name=f"saga {saga.definition}",
        kind="internal",
        context=saga_context(saga.id),
        parent=None,
        began=saga.accepted_at,
        ended=saga.ended_at or time.time(),
        attributes=attributes,
        error=None if saga.phase is Phase.SUCCEEDED else saga.reason or saga.phase.value,
    )


class TracedTransport:
    """See `Transport`. It records a span for each attempt and each probe."""

    def __init__(self, transport: Transport, spans: Spans) -> None:
        self._transport = transport
        self._spans = spans

    async def call(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        """See `Transport.call`."""
        began = time.time()
        reply = await self._transport.call(participant, saga_id, request)
        context = attempt_context(saga_id, request.key, request.attempt)
        self._record(participant, saga_id, request, reply, context=context, what=request.direction.value, began=began)
        return reply

    async def probe(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        """See `Transport.probe`. The participant sees the place of the attempt that is asked about."""
        began = time.time()
        reply = await self._transport.probe(participant, saga_id, request)
        context = TraceContext.below(saga_context(saga_id))
        self._record(participant, saga_id, request, reply, context=context, what="probe", began=began)
        return reply

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._transport.close()

    def _record(
        self,
        participant: Participant,
        saga_id: str,
        request: Request,
        reply: Reply,
        *,
        context: TraceContext,
        what: str,
        began: float,
    ) -> None:
        attributes: dict[str, str | int] = {
            "kompensa.saga.id": saga_id,
            "kompensa.saga.step": request.step,
            "kompensa.participant": participant.name,
            "kompensa.attempt": request.attempt,
            "kompensa.outcome": reply.outcome.value,
        }
        self._spans.record(
            Span(
                name=f"{request.step} {what}",
                kind="client",
                context=context,
                parent=saga_context(saga_id),
                began=began,
                ended=time.time(),
                attributes=attributes,
                error=None if reply.outcome is Outcome.SUCCEEDED else reply.reason or reply.outcome.value,
            )
        )


def _context(saga_id: str, name: str) -> TraceContext:
    return TraceContext(saga_id.replace("-", ""), blake2b(name.encode(), digest_size=8).hexdigest())
