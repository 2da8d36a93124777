"""A compiled SagaDefinition. A running saga keeps the revision that it was started with until it ends.

`parsing` makes these from a spec. Templates and the input schema are compiled once for each revision.
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
    """Compensatable: the step can be undone. Retriable: it can only be repeated until it succeeds."""

    COMPENSATABLE = "Compensatable"
    RETRIABLE = "Retriable"


class Step(Struct, frozen=True, kw_only=True):
    """One step. Time-outs are in seconds.

    Attributes
    ----------
    depends_on
        Indexes of the steps that this step waits for.
    depth
        Length of the longest chain of steps that this step waits for. Sorted by depth, steps are in topological order.
    keyed
        When this revision was made, the participant declared idempotency by key: it stores its replies by key and
        leaves tombstones. Its calls may therefore be journalled lazily (see `durability`).
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
    """One immutable revision of a SagaDefinition.

    Attributes
    ----------
    deadline
        Seconds after the saga was accepted, or None.
    failure_message
        Beginning of the message of a saga that ended without its effect, or empty.
    log_fields
        Values for the log lines of a saga's begin and end. Without any, there are no such lines.
    """

    namespace: str
    name: str
    revision: str
    input_schema: InputSchema
    deadline: float | None
    steps: tuple[Step, ...]
    result: Mapping[str, Template]
    failure_message: str = ""
    log_fields: Mapping[str, Template] = {}
