"""All mistakes in a definition, found before a saga runs by it.

Each finding names the place, the mistake and the remedy. This module checks the steps and the order between them.
`template_linter` checks their `${...}`, which is possible only if the order of the steps is valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from kompensa.model.order import ancestors, dependencies
from kompensa.model.specs import ParticipantSpec, SagaDefinitionSpec
from kompensa.model.template_linter import TemplateLinter
from kompensa_common.durations import seconds


def lint(spec: SagaDefinitionSpec, participants: Mapping[str, ParticipantSpec]) -> list[str]:
    """Return every finding. There is none if the definition can be run."""
    order = [*_names(spec)] or [*_dependencies(spec)]  # dependsOn is ambiguous while a name is used twice
    alone = [
        *_participants(spec, participants),
        *_compensations(spec),
        *_timeouts(spec, participants),
        *_intervals(spec),
    ]
    if order:
        return [*order, *alone]  # the other checks need to know which steps run before a step
    before = ancestors(dependencies(spec))
    keyed = {name for name, participant in participants.items() if participant.idempotency == "Keyed"}
    return [*alone, *_returns(spec, before), *TemplateLinter(spec, before, keyed).findings()]


def _names(spec: SagaDefinitionSpec) -> Iterator[str]:
    seen: set[str] = set()
    for step in spec.steps:
        if step.name in seen:
            yield f"step {step.name}: the name is used twice; give each step its own"
        seen.add(step.name)


def _dependencies(spec: SagaDefinitionSpec) -> Iterator[str]:
    waits = dependencies(spec)
    for name, parents in waits.items():
        for parent in parents:
            if parent not in waits:
                known = ", ".join(other for other in waits if other != name)
                yield f"step {name}: dependsOn names {parent}, which is not a step of this definition (known: {known})"
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        yield f"steps wait for each other: {' -> '.join(reversed(error.args[1]))}; remove one dependsOn"


def _participants(spec: SagaDefinitionSpec, participants: Mapping[str, ParticipantSpec]) -> Iterator[str]:
    known = ", ".join(sorted(participants)) or "none"
    for step in spec.steps:
        if step.participant_ref.name not in participants:
            yield (
                f"step {step.name}: Participant {step.participant_ref.name} does not exist in this namespace "
                f"(known: {known}); create it or correct participantRef"
            )


def _compensations(spec: SagaDefinitionSpec) -> Iterator[str]:
    for step in spec.steps:
        if step.kind == "Compensatable" and step.compensation is None:
            yield f"step {step.name}: a Compensatable step needs a compensation; add one, or make the step Retriable"
        if step.kind == "Retriable" and step.compensation is not None:
            yield f"step {step.name}: a Retriable step is never compensated; remove its compensation"


def _returns(spec: SagaDefinitionSpec, before: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """After a Retriable step has started, the saga cannot turn back. So all steps that may fail come before it."""
    compensatable = [step.name for step in spec.steps if step.kind == "Compensatable"]
    for step in spec.steps:
        not_awaited = [name for name in compensatable if name not in before[step.name]]
        if step.kind == "Retriable" and not_awaited:
            yield (
                f"step {step.name}: a Retriable step must come after every Compensatable one, but does not wait for "
                f"{', '.join(not_awaited)}; move it to the end or add dependsOn"
            )


def _timeouts(spec: SagaDefinitionSpec, participants: Mapping[str, ParticipantSpec]) -> Iterator[str]:
    for step in spec.steps:
        participant = participants.get(step.participant_ref.name)
        attempt = step.timeouts.attempt or (participant.timeout if participant else None)
        total = step.timeouts.total
        if attempt is not None and total is not None and seconds(total) < seconds(attempt):
            yield f"step {step.name}: timeouts.total ({total}) is shorter than one attempt ({attempt}); raise it"


def _intervals(spec: SagaDefinitionSpec) -> Iterator[str]:
    policies = {"retryPolicy": spec.retry_policy, "compensation.retryPolicy": spec.compensation.retry_policy}
    policies |= {f"step {step.name}: retryPolicy": step.retry_policy for step in spec.steps if step.retry_policy}
    for at, policy in policies.items():
        if seconds(policy.initial_interval) > seconds(policy.maximum_interval):
            yield (
                f"{at}: initialInterval ({policy.initial_interval}) is longer than maximumInterval "
                f"({policy.maximum_interval}); raise the latter or lower the former"
            )
