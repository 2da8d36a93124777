"""What somebody asks to be started, and the saga that it becomes. Pure but for the random id."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

from msgspec import Meta, Struct, json

from kompensa.engine.errors import InputInvalidError
from kompensa.engine.running_saga import DeletionPolicy, Origin, RunningSaga
from kompensa.model.commands import Command
from kompensa.model.definition import Definition
from kompensa.model.events import Accepted, CancelAsked, Event, ResumeAsked, SuspendAsked
from kompensa.model.saga import new_saga
from kompensa.model.specs import Name
from kompensa.model.transition import advance

# The length too: `$` of Python's patterns lets a line end pass.
Uuid = Annotated[str, Meta(max_length=36, pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]

Generation = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ObjectRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The Saga object that a saga is born of; its uid becomes the saga's id."""

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
    """The saga, accepted but not yet durable, and what is to be done once it is. Raises InputInvalidError."""
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
    running = RunningSaga(definition, saga, origin, shard=shard)
    running.weight = len(json.encode(request.input))
    running.key = request.idempotency_key
    running.object_uid = uid
    running.generation = None if request.object is None else request.object.generation
    return running, _begin(running, _first_events(request), now)


def _first_events(request: StartRequest) -> list[Event]:
    """Asked for at birth, suspension and cancellation come before the first call, not after it."""
    events: list[Event] = [SuspendAsked()] if request.suspend or request.cancel else []
    events.append(Accepted())
    if request.cancel:
        events.append(CancelAsked())
        if not request.suspend:
            events.append(ResumeAsked())
    return events


def _begin(running: RunningSaga, events: list[Event], now: float) -> tuple[Command, ...]:
    commands: list[Command] = []
    for event in events:
        decided = advance(running.definition, running.saga, event, now)
        running.saga = decided.saga
        running.entries += decided.log
        commands += decided.commands
    return tuple(commands)
