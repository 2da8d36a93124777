"""Saga, trace and caller of the current request or event: for logs, for events in the outbox, and for audits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from uuid import UUID

from kompensa_common.tracing import TRACEPARENT


@dataclass(frozen=True)
class RequestContext:
    """Saga and trace are taken from the headers Idempotency-Key, Saga-Id and traceparent, if there are any.

    The caller is the one whose token came with the request. It is None on a route that is open to everyone, and in a
    service that does not check its callers. While an event is handled, it is the event's topic.
    """

    saga_id: UUID | None = None
    traceparent: str | None = None
    caller: str | None = None

    @property
    def trace_id(self) -> str | None:
        return self.traceparent.split("-")[1] if self.traceparent else None


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def current() -> RequestContext:
    """The context of the request being served; an empty one outside requests."""
    return _current.get() or RequestContext()


def enter(headers: Mapping[str, str]) -> RequestContext:
    """Set the context for this request (each request runs in its own task, so nothing has to be undone).

    If Idempotency-Key and Saga-Id name two sagas, it is the key's: that is the one whose step is done. A traceparent
    of another form than W3C's is dropped: it would be kept in the outbox and go to every consumer.
    """
    saga_id = _uuid(headers.get("idempotency-key", "").partition("/")[0]) or _uuid(headers.get("saga-id", ""))
    trace = headers.get("traceparent", "")
    context = RequestContext(saga_id, trace if TRACEPARENT.fullmatch(trace) else None)
    _current.set(context)
    return context


def identify(caller: str) -> None:
    """Add the caller, once its token is checked."""
    _current.set(replace(current(), caller=caller))


@contextmanager
def handling(saga_id: UUID | None, traceparent: str | None, caller: str | None = None) -> Iterator[None]:
    """Set the context while an event is handled, which is part of the same saga and trace."""
    token = _current.set(RequestContext(saga_id, traceparent, caller))
    try:
        yield
    finally:
        _current.reset(token)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None  # the endpoint refuses it by name where it matters; here it only labels logs
