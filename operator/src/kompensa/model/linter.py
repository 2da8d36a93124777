"""What is wrong with a definition, all of it at once, before any saga runs by it.

Each finding names the place, what is wrong and what to do. Checks on templates are static: roots, fields of the
input by its schema, outputs of steps that surely ran before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from msgspec import UNSET

from kompensa.model.expressions import ExpressionError, Reference, Template
from kompensa.model.parsing import dependencies
from kompensa.model.schema import InputSchema, SchemaError
from kompensa.model.specs import CallSpec, ParticipantSpec, SagaDefinitionSpec, StepSpec

SAGA_FIELDS = frozenset({"id", "name", "namespace", "definition"})
OPERATION_FIELDS = frozenset({"key", "step", "direction"})


def lint(spec: SagaDefinitionSpec, participants: Mapping[str, ParticipantSpec]) -> list[str]:
    """Every finding, in the order of the definition; empty when the definition can be run."""
    structure = [*_names(spec), *_participants(spec, participants), *_dependencies(spec)]
    if structure:
        return structure  # templates and kinds are judged by an order that does not exist yet
    return [*_kinds(spec), *_Templates(spec, participants).findings()]


def _names(spec: SagaDefinitionSpec) -> Iterator[str]:
    seen: set[str] = set()
    for step in spec.steps:
        if step.name in seen:
            yield f"step {step.name}: the name is used twice; give each step its own"
        seen.add(step.name)


def _participants(spec: SagaDefinitionSpec, participants: Mapping[str, ParticipantSpec]) -> Iterator[str]:
    known = ", ".join(sorted(participants)) or "none"
    for step in spec.steps:
        if step.participant_ref.name not in participants:
            yield (
                f"step {step.name}: Participant {step.participant_ref.name} does not exist in this namespace "
                f"(known: {known}); create it or correct participantRef"
            )


def _dependencies(spec: SagaDefinitionSpec) -> Iterator[str]:
    names = {step.name for step in spec.steps}
    for index, step in enumerate(spec.steps):
        for name in dependencies(index, spec):
            if name not in names:
                yield f"step {step.name}: dependsOn names {name}, which is no step of this definition"
    try:
        TopologicalSorter({s.name: dependencies(i, spec) for i, s in enumerate(spec.steps)}).prepare()
    except CycleError as error:
        yield f"steps wait for each other: {' -> '.join(reversed(error.args[1]))}; remove one dependsOn"


def _kinds(spec: SagaDefinitionSpec) -> Iterator[str]:
    before = ancestors(spec)
    kinds = {step.name: step.kind for step in spec.steps}
    for step in spec.steps:
        if step.kind == "Compensatable" and step.compensation is None:
            yield f"step {step.name}: a Compensatable step needs a compensation; add one, or make the step Retriable"
        if step.kind == "Retriable":
            if step.compensation is not None:
                yield f"step {step.name}: a Retriable step is never compensated; remove its compensation"
            open_ = sorted(n for n in kinds if kinds[n] == "Compensatable" and n not in before[step.name])
            if open_:
                yield (
                    f"step {step.name}: a Retriable step must come after every Compensatable one, but does not wait "
                    f"for {', '.join(open_)}; add dependsOn"
                )


def ancestors(spec: SagaDefinitionSpec) -> dict[str, set[str]]:
    """For each step, every step that has surely succeeded when it starts."""
    direct = {step.name: dependencies(index, spec) for index, step in enumerate(spec.steps)}
    found: dict[str, set[str]] = {}
    for name in TopologicalSorter(direct).static_order():
        found[name] = set(direct[name]).union(*(found[parent] for parent in direct[name]))
    return found


class _Templates:
    """Checks every `${...}` of a definition against what it may name in that place."""

    def __init__(self, spec: SagaDefinitionSpec, participants: Mapping[str, ParticipantSpec]) -> None:
        self.spec = spec
        self.participants = participants
        self.outputs = {step.name: set(step.outputs) for step in spec.steps}
        self.ancestors = ancestors(spec)

    def findings(self) -> Iterator[str]:
        try:
            self.schema = InputSchema(self.spec.input_schema)
        except SchemaError as error:
            yield f"inputSchema is not a valid JSON Schema: {error}"
            self.schema = InputSchema({})
        for step in self.spec.steps:
            yield from self._step(step)
        everything = set(self.outputs)
        yield from self._template("result", self.spec.result, roots={"input", "saga", "steps"}, steps=everything)

    def _step(self, step: StepSpec) -> Iterator[str]:
        at = f"step {step.name}"
        before = self.ancestors[step.name]
        common = {"input", "saga", "operation"}
        yield from self._call(f"{at}: action", step.action, roots={*common, "steps"}, steps=before)
        yield from self._template(f"{at}: outputs", step.outputs, roots={"input", "saga", "reply"}, steps=set())
        if step.probe is not None:
            yield from self._call(f"{at}: probe", step.probe, roots={*common, "steps"}, steps=before)
        if step.compensation is not None:
            yield from self._compensation(f"{at}: compensation", step, step.compensation, common)

    def _compensation(self, at: str, step: StepSpec, call: CallSpec, common: set[str]) -> Iterator[str]:
        """A keyed participant is also told to undo what may never have replied: outputs cannot be counted on."""
        if self.participants[step.participant_ref.name].idempotency == "Keyed":
            yield from self._call(at, call, roots=common, steps=set())
        else:
            steps = {*self.ancestors[step.name], step.name}
            yield from self._call(at, call, roots={*common, "steps"}, steps=steps)

    def _call(self, at: str, call: CallSpec, *, roots: set[str], steps: set[str]) -> Iterator[str]:
        yield from self._template(f"{at}.http.path", call.http.path, roots=roots, steps=steps)
        yield from self._template(f"{at}.http.headers", call.http.headers, roots=roots, steps=steps)
        if call.http.body is not UNSET:
            yield from self._template(f"{at}.http.body", call.http.body, roots=roots, steps=steps)

    def _template(self, at: str, source: Any, *, roots: set[str], steps: set[str]) -> Iterator[str]:
        try:
            references = Template(source).references()
        except ExpressionError as error:
            yield f"{at}: {error}"
            return
        for reference in dict.fromkeys(references):
            problem = self._reference(reference, roots, steps)
            if problem:
                yield f"{at}: ${{{_spell(reference)}}} {problem}"

    def _reference(self, reference: Reference, roots: set[str], steps: set[str]) -> str | None:
        root, *path = reference
        if root not in roots:
            return f"is not to be had here; this place knows {', '.join(sorted(roots))}"
        if root == "input" and not self.schema.declares(tuple(path)):
            return "is not declared by inputSchema; declare it or correct the name"
        if root == "saga" and path and path[0] not in SAGA_FIELDS:
            return f"does not exist; saga has {', '.join(sorted(SAGA_FIELDS))}"
        if root == "operation" and path and path[0] not in OPERATION_FIELDS:
            return f"does not exist; operation has {', '.join(sorted(OPERATION_FIELDS))}"
        return self._step_reference(path, steps) if root == "steps" else None

    def _step_reference(self, path: list[str], steps: set[str]) -> str | None:
        if not path:
            return None
        name = path[0]
        if name not in self.outputs:
            return f"names no step of this definition; its steps are {', '.join(self.outputs)}"
        if name not in steps:
            return f"may not have run yet; add {name} to dependsOn"
        if len(path) > 1 and path[1] not in self.outputs[name]:
            declared = ", ".join(sorted(self.outputs[name])) or "none"
            return f"is no output of step {name} (declared: {declared}); add it to that step's outputs"
        return None


def _spell(reference: Reference) -> str:
    root, *path = reference
    return root + "".join(f".{name}" if name.isidentifier() else f"['{name}']" for name in path)
