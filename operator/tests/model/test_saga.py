"""The sets of phases that the rules, the API and the command line share."""

from typing import get_args, get_type_hints

from kompensa.api import sagas
from kompensa.model.saga import (
    ACTION_UNDER_WAY,
    AT_WORK,
    IN_FLIGHT,
    MAY_HAVE_EFFECT,
    MOVING,
    PARKED_STEPS,
    RESTING,
    TERMINAL,
    TO_BE_TRIED,
    UNDO_UNDER_WAY,
    UNFINISHED,
    Phase,
    Saga,
    SagaChanges,
    StepChanges,
    StepPhase,
    StepState,
)
from kompensa.model.view import SUSPENDED


def test_a_saga_that_needs_a_person_rests_but_has_not_ended() -> None:
    assert {Phase.INTERVENTION_REQUIRED} == RESTING - TERMINAL


def test_an_unfinished_saga_moves_or_is_not_accepted_yet() -> None:
    assert {Phase.RUNNING, Phase.COMPENSATING} == MOVING
    assert {Phase.PENDING} == UNFINISHED - MOVING


def test_phases_read_from_json_are_found_in_the_sets() -> None:
    assert "Compensated" in TERMINAL
    assert "Running" not in RESTING


def test_the_sets_of_step_phases() -> None:
    phases = StepPhase
    assert {phases.CALLING, phases.PROBING, phases.UNDOING} == IN_FLIGHT
    assert {phases.CALLING, phases.PROBING} == ACTION_UNDER_WAY
    assert {phases.RETRYING, phases.UNDO_RETRYING} == AT_WORK - IN_FLIGHT
    assert {phases.RETRYING, phases.PARKED} == TO_BE_TRIED
    assert {phases.UNDOING, phases.UNDO_RETRYING} == UNDO_UNDER_WAY
    assert {phases.PARKED, phases.UNDO_PARKED} == PARKED_STEPS
    assert {phases.SUCCEEDED, phases.UNKNOWN} == MAY_HAVE_EFFECT


def test_the_api_filters_by_every_phase_that_it_shows() -> None:
    assert set(get_args(sagas.Phase)) == {*Phase, SUSPENDED}


def test_a_rule_may_change_every_field_of_a_step() -> None:
    assert get_type_hints(StepChanges) == get_type_hints(StepState)


def test_a_rule_may_change_all_of_a_saga_but_what_it_was_started_with() -> None:
    given = {"id", "namespace", "name", "definition", "revision", "input", "steps", "accepted_at"}
    fields = get_type_hints(Saga)
    assert get_type_hints(SagaChanges) == {name: kind for name, kind in fields.items() if name not in given}
