"""Compiled definitions for tests of the model: built from a few words, or drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from kompensa.model.definition import Definition, Step, StepKind
from kompensa.model.expressions import Template
from kompensa.model.http_call import HttpCall
from kompensa.model.policies import RetryPolicy
from kompensa.model.schema import InputSchema

T = TypeVar("T")

CALL = HttpCall(method="POST", path=Template("/do"), headers={})
UNDO = HttpCall(method="POST", path=Template("/undo"), headers={})
PROBE = HttpCall(method="GET", path=Template("/operations"), headers={})
ANY_INPUT = InputSchema({})
POLICY = RetryPolicy(initial_interval=1.0, maximum_interval=10.0, maximum_attempts=3)


def step(
    name: str = "step",
    *,
    index: int = 0,
    depends_on: Sequence[int] = (),
    depth: int = 0,
    retriable: bool = False,
    keyed: bool = True,
    probe: bool = False,
    policy: RetryPolicy = POLICY,
    compensation_policy: RetryPolicy = POLICY,
    total_timeout: float | None = None,
    outputs: Mapping[str, Template] | None = None,
) -> Step:
    """One compiled step."""
    return Step(
        index=index,
        name=name,
        kind=StepKind.RETRIABLE if retriable else StepKind.COMPENSATABLE,
        participant="participant",
        depends_on=tuple(depends_on),
        depth=depth,
        action=CALL,
        outputs=outputs or {},
        compensation=None if retriable else UNDO,
        probe=PROBE if probe else None,
        attempt_timeout=2.0,
        total_timeout=total_timeout,
        retry_policy=policy,
        compensation_policy=compensation_policy,
        keyed=keyed,
    )


def definition(*steps: Step, deadline: float | None = None, result: Mapping[str, Template] | None = None) -> Definition:
    """One compiled definition of these steps."""
    return Definition(
        namespace="shop",
        name="test",
        revision="0",
        input_schema=ANY_INPUT,
        deadline=deadline,
        steps=steps,
        result=result or {},
    )


def chain(*names: str, deadline: float | None = None, **of_each: Any) -> Definition:
    """Steps one after another, all Compensatable; a name that ends in `!` is Retriable."""
    return definition(
        *(
            step(
                name.rstrip("!"),
                index=index,
                depends_on=(index - 1,) if index else (),
                depth=index,
                retriable=name.endswith("!"),
                **of_each,
            )
            for index, name in enumerate(names)
        ),
        deadline=deadline,
    )


class Choices:
    """Bytes read as choices. All zero (and nothing at all) is the simplest definition, so examples shrink to it."""

    def __init__(self, tape: bytes) -> None:
        self._bytes = iter(tape)

    def below(self, bound: int) -> int:
        return next(self._bytes, 0) % bound

    def of(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def subset(self, bound: int) -> set[int]:
        """Some of the numbers below `bound`."""
        bits = self.below(256)
        return {number for number in range(bound) if bits >> number & 1}


def random_definition(tape: bytes) -> Definition:
    """A graph of up to seven steps that the linter would let pass: Retriable steps after all others.

    The steps' order in the list is not their topological order, as a user may write them in any.
    """
    choices = Choices(tape)
    retriable = choices.of([0, 1, 2])
    compensatable = choices.below(6) + (0 if retriable else 1)
    count = compensatable + retriable
    keyed = choices.of(["all", "all", "some", "none"])
    deadline = choices.of([None, 5.0, 30.0])
    places = list(range(count))
    for number in range(count):
        other = choices.below(count)
        places[number], places[other] = places[other], places[number]
    waits: list[set[int]] = []
    depths: list[int] = []
    steps: list[Step] = []
    for number in range(count):
        is_retriable = number >= compensatable
        waits.append(choices.subset(number) | (set(range(compensatable)) if is_retriable else set()))
        depths.append(max((depths[parent] + 1 for parent in waits[number]), default=0))
        steps.append(
            step(
                f"s{places[number]}",
                index=places[number],
                depends_on=sorted(places[parent] for parent in waits[number]),
                depth=depths[number],
                retriable=is_retriable,
                keyed=keyed == "all" or (keyed == "some" and choices.of([True, False])),
                probe=choices.of([False, True]),
                policy=_random_policy(choices),
                compensation_policy=_random_policy(choices),
                total_timeout=choices.of([None, 2.5, 20.0]),
            )
        )
    return definition(*sorted(steps, key=lambda s: s.index), deadline=deadline)


def _random_policy(choices: Choices) -> RetryPolicy:
    """Short ones, so that exhaustion happens."""
    return RetryPolicy(
        initial_interval=1.0,
        maximum_interval=4.0,
        maximum_attempts=choices.of([3, 2, 1]),
        jitter=choices.of([0.0, 0.5]),
    )


DEFINITIONS = st.binary(max_size=64).map(random_definition)
