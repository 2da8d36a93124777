"""Checks each `${...}` of a definition: it may name only values that exist when it is evaluated.

Those are the roots of its field, the members of the input by its schema, and the outputs of steps that have succeeded
by then. CEL itself reports only a misspelt root. A misspelt field would be seen only when a saga is parked.

The check is static. It sees paths such as `steps['create-order'].orderId`, but not names that are computed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from msgspec import UNSET

from kompensa.model.calls import CallSpec
from kompensa.model.expressions import ExpressionError, Reference, Template
from kompensa.model.schema import InputSchema, SchemaError
from kompensa.model.specs import SagaDefinitionSpec, StepSpec

SAGA_FIELDS = frozenset({"id", "name", "namespace", "definition"})
OPERATION_FIELDS = frozenset({"key", "step", "direction"})
CALL_ROOTS = frozenset({"input", "saga", "operation", "steps"})
OUTPUT_ROOTS = frozenset({"input", "saga", "reply"})
RESULT_ROOTS = frozenset({"input", "saga", "steps"})


class TemplateLinter:
    """Checks every `${...}` of a definition.

    Parameters
    ----------
    before
        For each step, the steps that have succeeded by the time it starts.
    keyed
        The participants that declared idempotency by key.
    """

    def __init__(self, spec: SagaDefinitionSpec, before: Mapping[str, frozenset[str]], keyed: Collection[str]) -> None:
        self._spec = spec
        self._before = before
        self._keyed = keyed
        self._outputs = {step.name: set(step.outputs) for step in spec.steps}
        self._schema = InputSchema({})

    def findings(self) -> Iterator[str]:
        try:
            self._schema = InputSchema(self._spec.input_schema)
        except SchemaError as error:
            yield f"inputSchema is not a valid JSON Schema (draft 2020-12): {error}"
        for step in self._spec.steps:
            yield from self._step(step)
        yield from self._template("result", self._spec.result, RESULT_ROOTS, self._outputs)
        if self._spec.log_fields is not UNSET:
            yield from self._template("logFields", self._spec.log_fields, RESULT_ROOTS, self._outputs)

    def _step(self, step: StepSpec) -> Iterator[str]:
        at = f"step {step.name}"
        before = self._before[step.name]
        yield from self._call(f"{at}: action", step.action, CALL_ROOTS, before)
        yield from self._template(f"{at}: outputs", step.outputs, OUTPUT_ROOTS, ())
        if step.probe is not None:
            yield from self._call(f"{at}: probe", step.probe, CALL_ROOTS, before)
        if step.compensation is not None:
            yield from self._compensation(f"{at}: compensation", step, step.compensation)

    def _compensation(self, at: str, step: StepSpec, call: CallSpec) -> Iterator[str]:
        """Check a compensation. It runs even if the action never replied, so outputs may be missing.

        For a keyed participant, outputs are therefore not allowed. A participant without keys may have no other name
        for the effect than an output of its action, so outputs are allowed. If one is missing, the saga is parked.
        """
        if step.participant_ref.name in self._keyed:
            yield from self._call(at, call, CALL_ROOTS - {"steps"}, ())
        else:
            yield from self._call(at, call, CALL_ROOTS, self._before[step.name] | {step.name})

    def _call(self, at: str, call: CallSpec, roots: Collection[str], steps: Collection[str]) -> Iterator[str]:
        for field, source in call.templates():
            yield from self._template(f"{at}.{field}", source, roots, steps)
        for finding in call.findings():
            yield f"{at}.{finding}"

    def _template(self, at: str, source: Any, roots: Collection[str], steps: Collection[str]) -> Iterator[str]:
        try:
            references = Template(source).references()
        except ExpressionError as error:
            yield f"{at}: {error}"
            return
        for reference in dict.fromkeys(references):
            problem = self._problem(reference, roots, steps)
            if problem:
                yield f"{at}: ${{{_spelled(reference)}}} {problem}"

    def _problem(self, reference: Reference, roots: Collection[str], steps: Collection[str]) -> str | None:
        root, *path = reference
        if root not in roots:
            return f"is not available here; available: {', '.join(sorted(roots))}"
        if root == "input" and not self._schema.declares(path):
            return "is not declared by inputSchema; declare it or correct the name"
        if root == "saga" and path and path[0] not in SAGA_FIELDS:
            return f"does not exist; saga has {', '.join(sorted(SAGA_FIELDS))}"
        if root == "operation" and path and path[0] not in OPERATION_FIELDS:
            return f"does not exist; operation has {', '.join(sorted(OPERATION_FIELDS))}"
        return self._problem_of_step(path, steps) if root == "steps" and path else None

    def _problem_of_step(self, path: list[str], steps: Collection[str]) -> str | None:
        name = path[0]
        if name not in self._outputs:
            return f"is not a step of this definition; its steps are {', '.join(self._outputs)}"
        if name not in steps:
            return f"may not have run yet; add {name} to dependsOn"
        if len(path) > 1 and path[1] not in self._outputs[name]:
            declared = ", ".join(sorted(self._outputs[name])) or "none"
            return f"is not an output of step {name} (declared: {declared}); add it to that step's outputs"
        return None


def _spelled(reference: Reference) -> str:
    root, *path = reference
    return root + "".join(f".{name}" if name.isidentifier() else f"['{name}']" for name in path)
