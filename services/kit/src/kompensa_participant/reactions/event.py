"""An event as a handler gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from kompensa_common.tracing import TraceContext, context_of_event

ERRORS_SHOWN = 10
Model = TypeVar("Model", bound=BaseModel)
ModelClass = type[Model]  # inside the class, `type` is the event's


class UnfitEventError(ValueError):
    """The event does not have the form that the handler needs. It is parked at once: no retry would change it."""


@dataclass(frozen=True, kw_only=True)
class ReceivedEvent:
    """One event of one aggregate.

    Attributes
    ----------
    id
        The event's own id: the outbox row's.
    key
        The aggregate's id. Events of one key in one topic come in order.
    type, version
        The event's type, and the version of its form, such as `1.0`.
    aggregate_version
        The aggregate's own counter. Use it, if events of several topics must not overtake each other.
    payload
        The JSON object, with Decimal for numbers that have a point; empty for a tombstone.
    occurred_at
        When the change happened.
    saga_id, traceparent
        The saga and the trace that the event belongs to. `publish` passes both on by itself.
    """

    id: UUID
    topic: str
    key: str
    type: str
    version: str
    aggregate_version: int
    payload: Mapping[str, Any]
    occurred_at: datetime
    saga_id: UUID | None
    traceparent: str | None

    @property
    def consequences(self) -> TraceContext | None:
        """The place in a trace of the work that this event causes, by which other events name it as their cause.

        An event of a saga without a trace belongs to the saga's, whose id is the saga's. None if it has neither.
        """
        parent = TraceContext.read(self.traceparent)
        if parent is not None:
            return context_of_event(parent.trace_id, str(self.id), sampled=parent.sampled)
        return context_of_event(self.saga_id.hex, str(self.id)) if self.saga_id is not None else None

    def read(self, model: ModelClass[Model]) -> Model:
        """Read the payload into a model, such as a `Message`.

        Raises
        ------
        UnfitEventError
            If the payload does not fit. The text names the fields, and quotes no values: they may be personal.
        """
        try:
            return model.model_validate(dict(self.payload))
        except ValidationError as error:
            faults = error.errors(include_input=False, include_url=False)[:ERRORS_SHOWN]
            fields = "; ".join(f"{_place(each['loc'])}: {each['msg']}" for each in faults)
            raise UnfitEventError(f"event {self.type} does not fit {model.__name__}: {fields}") from None


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "payload"
