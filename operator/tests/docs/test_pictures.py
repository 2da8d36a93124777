"""The pictures of the state machines have every state and every way between two, and no others."""

import random
import re
from collections.abc import Iterator
from typing import Unpack

import pytest
from msgspec.structs import replace

from kompensa.model.definition import Definition, Step
from kompensa.model.draft import Draft
from kompensa.model.events import Accepted, SuspendAsked
from kompensa.model.expressions import Template
from kompensa.model.saga import Phase, SagaChanges, StepChanges, StepPhase, StepState
from kompensa.model.view import SUSPENDED, shown_phase
from tests.support.documentation import DOCS
from tests.support.saga_definitions import definition, random_definition, step
from tests.support.saga_run import Run
from tests.support.saga_world import SagaWorld

WORLDS = 5000
Way = tuple[str, str]
# A saga that is refused at its start has no state in the model: the operator says so on its object.
OF_THE_OPERATOR = {(str(Phase.PENDING), str(Phase.TERMINATED))}


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> tuple[set[Way], set[Way]]:
    """The ways that sagas and steps go from here on."""
    of_sagas: set[Way] = set()
    of_steps: set[Way] = set()
    set_saga, set_step = Draft.set, Draft.set_step

    def saga_is_set(draft: Draft, **changes: Unpack[SagaChanges]) -> None:
        before = shown_phase(draft.saga)
        set_saga(draft, **changes)
        of_sagas.add((before, shown_phase(draft.saga)))

    def step_is_set(draft: Draft, of: Step, **changes: Unpack[StepChanges]) -> StepState:
        before = draft.steps[of.index].phase
        state = set_step(draft, of, **changes)
        of_steps.add((str(before), str(state.phase)))
        return state

    monkeypatch.setattr(Draft, "set", saga_is_set)
    monkeypatch.setattr(Draft, "set_step", step_is_set)
    return of_sagas, of_steps


def test_every_way_that_is_drawn_is_gone_and_every_one_that_is_gone_is_drawn(gone: tuple[set[Way], set[Way]]) -> None:
    for world in worlds():
        world.heal()
    _born_suspended()
    _refused_beside_one_that_is_parked_and_held()
    of_sagas, of_steps = ({way for way in ways if way[0] != way[1]} for ways in gone)
    drawn_of_sagas, drawn_of_steps = drawn()
    assert drawn_of_sagas == of_sagas | OF_THE_OPERATOR
    assert drawn_of_steps == of_steps


def test_every_state_is_drawn() -> None:
    of_sagas, of_steps = ({state for way in ways for state in way} for ways in drawn())
    assert of_sagas == {str(phase) for phase in Phase} | {SUSPENDED}
    assert of_steps == {str(phase) for phase in StepPhase}


def worlds() -> Iterator[SagaWorld]:
    """Sagas to which all kinds of things have happened, the same ones each time."""
    choice = random.Random(1)
    for _ in range(WORLDS):
        drawn_by_lot = _with_outputs_that_never_come(random_definition(choice.randbytes(40)), choice)
        world = SagaWorld(drawn_by_lot, refusing=frozenset(choice.sample(range(7), choice.randrange(3))))
        world.play(choice.randbytes(120))
        yield world


def _with_outputs_that_never_come(given: Definition, choice: random.Random) -> Definition:
    missing = {"id": Template("${reply.id}")}
    few = choice.random() < 0.25
    steps = [replace(each, outputs=missing) if few and choice.random() < 0.25 else each for each in given.steps]
    return replace(given, steps=tuple(steps))


def _born_suspended() -> None:
    run = Run(definition(step("a")), accepted=False)
    run.feed(SuspendAsked())
    run.feed(Accepted())


def _refused_beside_one_that_is_parked_and_held() -> None:
    run = Run(definition(step("a"), step("b", index=1)))
    run.feed(SuspendAsked())
    run.misconfigured("a")
    run.refused("b")


def drawn() -> tuple[set[Way], set[Way]]:
    """The ways of a saga and those of a step."""
    text = (DOCS / "concepts/sagas.md").read_text(encoding="utf-8")
    pictures = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", text, re.DOTALL)
    of_sagas, of_steps = (set(re.findall(r"^ *(\w+) --> (\w+)", picture, re.MULTILINE)) for picture in pictures)
    return of_sagas, of_steps
