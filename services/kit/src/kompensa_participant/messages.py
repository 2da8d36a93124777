"""The base of requests and replies: camelCase outside, snake_case inside."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Message(BaseModel):
    """A request from, or a reply to, another program. It reads what it knows and ignores the rest, so that a caller
    may learn new fields first."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Form(Message):
    """A form that a person fills in: an unknown field is a mistake and is rejected."""

    model_config = ConfigDict(extra="forbid")


class SagaReference(Message):
    """The body of a compensation: the barrier already knows the effect of the action."""

    saga_id: UUID
