"""If calls are lost, delayed or repeated and engines are killed, a saga still ends whole or undone, or parked.

The world and its rules are in tests/support/saga_world.py. A failing example is shrunk to a short tape; paste it as
an `@example` to keep it.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from kompensa.model.definition import Definition
from tests.support.saga_definitions import DEFINITIONS
from tests.support.saga_verdict import verify
from tests.support.saga_world import SagaWorld

TAPES = st.binary(max_size=160)
REFUSALS = st.frozensets(st.integers(0, 6), max_size=2)


@settings(max_examples=1500)
@given(definition=DEFINITIONS, refusing=REFUSALS, tape=TAPES)
def test_whole_or_undone_whatever_happens(definition: Definition, refusing: frozenset[int], tape: bytes) -> None:
    world = SagaWorld(definition, refusing=refusing)
    world.play(tape)
    world.heal()
    verify(world)
