"""Which saga and which trace the request being served belongs to: for logs, and for what goes into the outbox."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class RequestContext:
    """Taken from the headers Saga-Id and traceparent; empty for requests outside a saga."""

    saga_id: UUID | None = None
    traceparent: str | None = None

    @property
    def trace_id(self) -> str | None:
        parts = (self.traceparent or "").split("-")
        return parts[1] if len(parts) == 4 else None


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def current() -> RequestContext:
    """The context of the request being served; an empty one outside requests."""
    return _current.get() or RequestContext()


def enter(headers: Mapping[str, str]) -> RequestContext:
    """Set the context for this request (each request runs in its own task, so nothing has to be undone)."""
    context = RequestContext(_uuid(headers.get("saga-id")), headers.get("traceparent"))
    _current.set(context)
    return context


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None  # the endpoint refuses it by name where it matters; here it only labels logs
