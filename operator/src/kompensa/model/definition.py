"""A compiled SagaDefinition: what a running saga keeps, frozen, until it ends.

`parsing` turns a spec into these; templates and the input schema are compiled once for each revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from kompensa.model.calls import Call
from kompensa.model.expressions import Template
from kompensa.model.policies import RetryPolicy
from kompensa.model.schema import InputSchema


class StepKind(StrEnum):
    """Whether a step can be undone (Compensatable) or only be completed (Retriable)."""

    COMPENSATABLE = "Compensatable"
    RETRIABLE = "Retriable"


class Step(Struct, frozen=True, kw_only=True):
    """One step. `depends_on` holds indexes into the definition's steps; time-outs are seconds.

    `depth` is the length of the longest chain of steps that it waits for, which orders steps topologically.

    `keyed` says that the participant declared idempotency by key when this revision was made: it stores replies and
    leaves tombstones, which is what lets its calls be journalled lazily (see `durability`).
    """

    index: int
    name: str
    kind: StepKind
    participant: str
    depends_on: tuple[int, ...]
    depth: int
    action: Call
    outputs: Mapping[str, Template]
    compensation: Call | None
    probe: Call | None
    attempt_timeout: float
    total_timeout: float | None
    retry_policy: RetryPolicy
    compensation_policy: RetryPolicy
    keyed: bool

    @property
    def retriable(self) -> bool:
        return self.kind is StepKind.RETRIABLE


class Definition(Struct, frozen=True, kw_only=True):
    """One immutable revision of a SagaDefinition. `deadline` is seconds after acceptance, or None."""

    namespace: str
    name: str
    revision: str
    input_schema: InputSchema
    deadline: float | None
    steps: tuple[Step, ...]
    result: Mapping[str, Template]
