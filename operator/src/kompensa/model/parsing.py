"""From YAML to the model: decode a spec, then compile a definition with what its participants declare.

A definition is compiled with the participants as they are declared at that moment: their idempotency and time-outs
become part of the revision, so a running saga keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import UNSET, ValidationError, convert

from kompensa.model.definition import Call, Definition, Step, StepKind
from kompensa.model.durations import seconds
from kompensa.model.expressions import Template
from kompensa.model.policies import RetryPolicy
from kompensa.model.revision import revision_of
from kompensa.model.schema import InputSchema
from kompensa.model.specs import (
    CallSpec,
    ParticipantSpec,
    RetryPolicySpec,
    SagaDefinitionSpec,
    SagaSpec,
    StepSpec,
)

T = TypeVar("T")


class SpecError(ValueError):
    """A spec that cannot be read. The message gives the field and what was expected."""


def parse_participant(spec: Mapping[str, Any]) -> ParticipantSpec:
    """Read a Participant's spec. Raises SpecError."""
    return _convert(spec, ParticipantSpec)


def parse_definition(spec: Mapping[str, Any]) -> SagaDefinitionSpec:
    """Read a SagaDefinition's spec. Raises SpecError; what it means is checked by `linter.lint`."""
    return _convert(spec, SagaDefinitionSpec)


def parse_saga(spec: Mapping[str, Any]) -> SagaSpec:
    """Read a Saga's spec. Raises SpecError."""
    return _convert(spec, SagaSpec)


def _convert(spec: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return convert(dict(spec), kind)
    except ValidationError as error:
        detail, _, path = str(error).partition(" - at `$")
        where = f"spec{path.rstrip('`')}" if path else "spec"
        raise SpecError(f"{where}: {detail[:1].lower()}{detail[1:]}") from error


def compile_definition(
    *, namespace: str, name: str, spec: SagaDefinitionSpec, participants: Mapping[str, ParticipantSpec]
) -> Definition:
    """Compile a definition that `linter.lint` found nothing wrong with.

    Raises ExpressionError, SchemaError or KeyError where it was not linted.
    """
    indexes = {step.name: index for index, step in enumerate(spec.steps)}
    return Definition(
        namespace=namespace,
        name=name,
        revision=revision_of(spec, participants),
        input_schema=InputSchema(spec.input_schema),
        deadline=None if spec.deadline is None else seconds(spec.deadline),
        steps=tuple(
            _step(index, step, spec, indexes, participants[step.participant_ref.name])
            for index, step in enumerate(spec.steps)
        ),
        result={key: Template(value) for key, value in spec.result.items()},
    )


def _step(
    index: int,
    step: StepSpec,
    definition: SagaDefinitionSpec,
    indexes: Mapping[str, int],
    participant: ParticipantSpec,
) -> Step:
    return Step(
        index=index,
        name=step.name,
        kind=StepKind(step.kind),
        participant=step.participant_ref.name,
        depends_on=tuple(indexes[name] for name in dependencies(index, definition)),
        action=_call(step.action),
        outputs={key: Template(value) for key, value in step.outputs.items()},
        compensation=_call(step.compensation) if step.compensation else None,
        probe=_call(step.probe) if step.probe else None,
        attempt_timeout=seconds(step.timeouts.attempt or participant.timeout),
        total_timeout=None if step.timeouts.total is None else seconds(step.timeouts.total),
        retry_policy=_policy(step.retry_policy or definition.retry_policy),
        compensation_policy=_policy(definition.compensation.retry_policy),
        keyed=participant.idempotency == "Keyed",
    )


def dependencies(index: int, definition: SagaDefinitionSpec) -> list[str]:
    """What a step waits for: as declared, or the step before it in the list."""
    declared = definition.steps[index].depends_on
    if declared is not UNSET:
        return list(declared)
    return [definition.steps[index - 1].name] if index else []


def _call(call: CallSpec) -> Call:
    return Call(
        method=call.http.method,
        path=Template(call.http.path),
        headers={name: Template(value) for name, value in call.http.headers.items()},
        body=None if call.http.body is UNSET else Template(call.http.body),
    )


def _policy(policy: RetryPolicySpec) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=seconds(policy.initial_interval),
        backoff_coefficient=policy.backoff_coefficient,
        maximum_interval=seconds(policy.maximum_interval),
        maximum_attempts=policy.maximum_attempts,
        jitter=policy.jitter,
    )
