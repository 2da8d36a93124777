"""Compiled definitions for tests of the model: built from a few words, or drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kompensa.model.definition import Call, Definition, Step, StepKind
from kompensa.model.expressions import Template
from kompensa.model.policies import RetryPolicy
from kompensa.model.schema import InputSchema

CALL = Call(method="POST", path=Template("/do"), headers={})
UNDO = Call(method="POST", path=Template("/undo"), headers={})
PROBE = Call(method="GET", path=Template("/operations"), headers={})
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


def policies(most_attempts: int) -> st.SearchStrategy[RetryPolicy]:
    """Short ones, so that exhaustion happens."""
    return st.builds(
        RetryPolicy,
        initial_interval=st.just(1.0),
        maximum_interval=st.just(4.0),
        maximum_attempts=st.integers(1, most_attempts),
        jitter=st.sampled_from([0.0, 0.5]),
    )


@st.composite
def definitions(draw: DrawFn) -> Definition:
    """A random graph of up to six steps that the linter would let pass: Retriable steps after all others.

    The steps' order in the list is not their topological order, as a user may write them in any.
    """
    compensatable = draw(st.integers(0, 5))
    retriable = draw(st.integers(0 if compensatable else 1, 2))
    count = compensatable + retriable
    places = draw(st.permutations(range(count)))
    waits: list[set[int]] = []
    for number in range(count):
        chosen = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        waits.append(chosen if number < compensatable else chosen | set(range(compensatable)))
    depths: list[int] = []
    for number in range(count):
        depths.append(max((depths[parent] + 1 for parent in waits[number]), default=0))
    all_keyed = draw(st.booleans())
    steps = [
        step(
            f"s{places[number]}",
            index=places[number],
            depends_on=sorted(places[parent] for parent in waits[number]),
            depth=depths[number],
            retriable=number >= compensatable,
            keyed=all_keyed or draw(st.booleans()),
            probe=draw(st.booleans()),
            policy=draw(policies(3)),
            compensation_policy=draw(policies(3)),
            total_timeout=draw(st.sampled_from([None, 2.5, 20.0])),
        )
        for number in range(count)
    ]
    return definition(*sorted(steps, key=lambda s: s.index), deadline=draw(st.sampled_from([None, 5.0, 30.0])))
