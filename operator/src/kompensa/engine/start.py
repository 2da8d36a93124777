"""The request to start a saga, and the saga that it becomes. Pure, except for the random id."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

from msgspec import Meta, Struct

from kompensa.engine.errors import InputInvalidError
from kompensa.engine.running_saga import RunningSaga
from kompensa.engine.saga_rows import Origin
from kompensa.model.commands import Command
from kompensa.model.definition import Definition
from kompensa.model.events import Accepted, CancelAsked, Event, ResumeAsked, SuspendAsked
from kompensa.model.saga import new_saga
from kompensa.model.specs import DeletionPolicy, Name

# The length is checked too, because `$` in Python's patterns also matches before a line end.
Uuid = Annotated[str, Meta(max_length=36, pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]

Generation = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ObjectRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The Saga object that a saga is started from; its uid becomes the saga's id."""

    name: Annotated[str, Meta(min_length=1, max_length=253)]
    uid: Uuid
    generation: Generation | None = None


class StartRequest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body of POST .../sagas."""

    definition: Name
    input: dict[str, Any] = {}
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=253)] | None = None
    id: Uuid | None = None
    name: Annotated[str, Meta(min_length=1, max_length=253)] | None = None
    object: ObjectRef | None = None
    ttl_seconds_after_finished: Annotated[int, Meta(ge=0, le=315_360_000)] | None = None
    deletion_policy: DeletionPolicy = "Compensate"
    suspend: bool = False
    cancel: bool = False


def born(
    request: StartRequest, definition: Definition, *, shard: int, now: float
) -> tuple[RunningSaga, tuple[Command, ...]]:
    """Make the saga, not yet durable, and the commands to carry out once it is.

    Raises
    ------
    InputInvalidError
        The input does not fit the definition's schema.
    """
    findings = definition.input_schema.findings(request.input)
    if findings:
        raise InputInvalidError(findings)
    uid = None if request.object is None else request.object.uid
    saga_id = request.id or uid or str(uuid4())
    saga = new_saga(
        saga_id=saga_id,
        namespace=definition.namespace,
        name=request.name or (request.object.name if request.object else saga_id),
        definition=definition.name,
        revision=definition.revision,
        steps=len(definition.steps),
        saga_input=request.input,
        now=now,
    )
    ttl = request.ttl_seconds_after_finished
    origin = Origin(
        input=request.input, deletion_policy=request.deletion_policy, ttl=None if ttl is None else float(ttl)
    )
    running = RunningSaga(
        definition,
        saga,
        origin,
        shard=shard,
        idempotency_key=request.idempotency_key,
        object_uid=uid,
        generation=None if request.object is None else request.object.generation,
    )
    commands = [command for event in _first_events(request) for command in running.advance(event, now)]
    return running, tuple(commands)


def _first_events(request: StartRequest) -> list[Event]:
    """Suspension and cancellation come before the first call if the request asks for them."""
    events: list[Event] = [SuspendAsked()] if request.suspend or request.cancel else []
    events.append(Accepted())
    if request.cancel:
        events.append(CancelAsked())
        if not request.suspend:
            events.append(ResumeAsked())
    return events
