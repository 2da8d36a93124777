"""What requests and replies are made of: camelCase outside, snake_case inside."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Message(BaseModel):
    """A request from, or a reply to, another program. It reads what it knows and ignores the rest, so that a caller
    may learn new fields first."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Form(Message):
    """What a person sends: a field that nobody knows is a slip, and refused."""

    model_config = ConfigDict(extra="forbid")


class SagaReference(Message):
    """All that a compensation needs to be told; what the action did, the barrier knows."""

    saga_id: UUID
