"""The state of one saga: everything the journal keeps, and all that `advance` needs to go on.

Immutable; a transition makes a new one. Times are seconds since the epoch (UTC), as the caller's clock gives them.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import Any, NamedTuple, TypedDict, assert_never

from msgspec import Struct

from kompensa.model.outcomes import Outcome


class Phase(StrEnum):
    """Where a saga stands. Suspension is a flag of its own (`Saga.suspended`): sagas are held in either direction."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPENSATING = "Compensating"
    SUCCEEDED = "Succeeded"
    COMPENSATED = "Compensated"
    INTERVENTION_REQUIRED = "InterventionRequired"
    TERMINATED = "Terminated"


class Stage(Enum):
    """What is to be expected of a saga in a phase."""

    NOT_ACCEPTED = auto()
    MOVING = auto()
    """It goes on by itself."""
    WAITING_FOR_A_PERSON = auto()
    TERMINAL = auto()
    """It has ended, once and for all."""


def stage_of(phase: Phase) -> Stage:
    """The stage of a phase. All sets of phases derive from this function, so a new phase is classified here only."""
    match phase:
        case Phase.PENDING:
            return Stage.NOT_ACCEPTED
        case Phase.RUNNING | Phase.COMPENSATING:
            return Stage.MOVING
        case Phase.INTERVENTION_REQUIRED:
            return Stage.WAITING_FOR_A_PERSON
        case Phase.SUCCEEDED | Phase.COMPENSATED | Phase.TERMINATED:
            return Stage.TERMINAL
        case _:
            assert_never(phase)


def _phases(*stages: Stage) -> frozenset[Phase]:
    return frozenset(phase for phase in Phase if stage_of(phase) in stages)


MOVING = _phases(Stage.MOVING)
"""The saga makes calls, or waits for its next attempt, unless a person holds it."""
TERMINAL = _phases(Stage.TERMINAL)
"""The saga has ended; nothing changes any more."""
RESTING = _phases(Stage.TERMINAL, Stage.WAITING_FOR_A_PERSON)
"""Nothing happens unless a person acts: `TERMINAL` and InterventionRequired. A client that waits stops here."""
UNFINISHED = frozenset(Phase) - RESTING
"""The saga is due to go on: Pending and `MOVING`."""


class StepPhase(StrEnum):
    """Where a step stands."""

    WAITING = "Waiting"
    CALLING = "Calling"
    """The action may be under way: intent is recorded, the outcome is not."""
    RETRYING = "Retrying"
    """The last outcome was unknown; `due` says when it is called again."""
    PROBING = "Probing"
    """Retries are used up; the participant is asked what became of the action."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """It had no effect: the participant refused it and kept nothing, or no attempt was sent."""
    UNKNOWN = "Unknown"
    """Given up on while its effect may be there; will be compensated."""
    UNDOING = "Undoing"
    UNDO_RETRYING = "UndoRetrying"
    UNDONE = "Undone"
    PARKED = "Parked"
    """Waits for a person: the action could not be completed."""
    UNDO_PARKED = "UndoParked"
    """Waits for a person: the compensation could not be completed."""


class Activity(Enum):
    """What a step waits for."""

    NONE = auto()
    """It has not started, or it is over."""
    CALL = auto()
    """A call is under way."""
    BACK_OFF = auto()
    """The time of the next attempt."""
    PERSON = auto()


class StepTraits(NamedTuple):
    """What the rules ask about a phase. `effect`: the action's effect may be there, and nothing undoes it yet."""

    activity: Activity
    undoing: bool = False
    effect: bool = False


def traits_of(phase: StepPhase) -> StepTraits:
    """The traits of a phase. All sets of step phases derive from this function: a new one is classified here only."""
    match phase:
        case StepPhase.WAITING | StepPhase.FAILED:
            return StepTraits(Activity.NONE)
        case StepPhase.CALLING | StepPhase.PROBING:
            return StepTraits(Activity.CALL)
        case StepPhase.RETRYING:
            return StepTraits(Activity.BACK_OFF)
        case StepPhase.PARKED:
            return StepTraits(Activity.PERSON)
        case StepPhase.SUCCEEDED | StepPhase.UNKNOWN:
            return StepTraits(Activity.NONE, effect=True)
        case StepPhase.UNDOING:
            return StepTraits(Activity.CALL, undoing=True)
        case StepPhase.UNDO_RETRYING:
            return StepTraits(Activity.BACK_OFF, undoing=True)
        case StepPhase.UNDO_PARKED:
            return StepTraits(Activity.PERSON, undoing=True)
        case StepPhase.UNDONE:
            return StepTraits(Activity.NONE, undoing=True)
        case _:
            assert_never(phase)


def _step_phases(*activities: Activity, undoing: bool | None = None) -> frozenset[StepPhase]:
    traits = {phase: traits_of(phase) for phase in StepPhase}
    return frozenset(
        phase for phase, found in traits.items() if found.activity in activities and undoing in (None, found.undoing)
    )


IN_FLIGHT = _step_phases(Activity.CALL)
"""A call of the step is under way: its action, its probe or its compensation."""
ACTION_UNDER_WAY = _step_phases(Activity.CALL, undoing=False)
"""A call of the action, or the question what became of it, is under way."""
AT_WORK = _step_phases(Activity.CALL, Activity.BACK_OFF)
"""The step goes on by itself."""
TO_BE_TRIED = _step_phases(Activity.BACK_OFF, Activity.PERSON, undoing=False)
"""The action was called, and is called again if nothing stops it."""
UNDO_UNDER_WAY = _step_phases(Activity.CALL, Activity.BACK_OFF, undoing=True)
"""The step is being compensated."""
PARKED_STEPS = _step_phases(Activity.PERSON)
"""The step waits for a person."""
MAY_HAVE_EFFECT = frozenset(phase for phase in StepPhase if traits_of(phase).effect)
"""The action's effect may be there, and is to be undone if the saga turns back."""


class StepState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of one saga.

    `order` is the number of its first attempt among all steps (1, 2, ...), which is the order of effects that
    compensation reverses. `attempts` counts action calls over the step's life; `budget_start` is the number at which
    the retry policy began to count, moved when a person resumes a parked step. `maybe` remembers that an earlier
    attempt, of this life or of one before a crash, may have had its effect, so that a call which is then refused as
    wrong, or is not sent, does not prove that there is none. `outcome` is the action's, kept while it is undone.
    """

    phase: StepPhase = StepPhase.WAITING
    outcome: Outcome | None = None
    order: int = 0
    attempts: int = 0
    budget_start: int = 0
    undo_attempts: int = 0
    undo_budget_start: int = 0
    maybe: bool = False
    due: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    undone_at: float | None = None
    outputs: dict[str, Any] | None = None
    reason: str | None = None
    message: str | None = None


class StepChanges(TypedDict, total=False):
    """The fields of a StepState that a rule may change, so that mypy finds a misspelt one. A test compares the two."""

    phase: StepPhase
    outcome: Outcome | None
    order: int
    attempts: int
    budget_start: int
    undo_attempts: int
    undo_budget_start: int
    maybe: bool
    due: float | None
    started_at: float | None
    ended_at: float | None
    undone_at: float | None
    outputs: dict[str, Any] | None
    reason: str | None
    message: str | None


class Saga(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of a definition.

    `stopping` is set when it has been decided to undo while calls are still under way: nothing new starts, and
    compensation begins once they have settled. `replayed` says that the saga was recovered under lazy journalling,
    so that steps recorded as waiting may have run in an earlier life (see `durability`). `cause`, `reason` and
    `message` say why it is undone; why it is parked is said by the parked step.
    """

    id: str
    namespace: str
    name: str
    definition: str
    revision: str
    input: dict[str, Any]
    steps: tuple[StepState, ...]
    accepted_at: float
    phase: Phase = Phase.PENDING
    suspended: bool = False
    stopping: bool = False
    replayed: bool = False
    deadline_at: float | None = None
    ended_at: float | None = None
    cause: int | None = None
    """Index of the step that the reason is about."""
    reason: str | None = None
    message: str | None = None
    result: dict[str, Any] | None = None

    @property
    def terminal(self) -> bool:
        return self.phase in TERMINAL

    @property
    def settled(self) -> bool:
        """No call of any step is under way."""
        return not any(step.phase in IN_FLIGHT for step in self.steps)

    @property
    def wake_at(self) -> float | None:
        """When the saga must be looked at again without any event, or None.

        None while a person holds it: what came due meanwhile, the deadline too, is looked at when it is resumed.
        """
        if self.suspended or self.phase not in MOVING:
            return None
        times = [step.due for step in self.steps if step.due is not None]
        if self.deadline_at is not None and not self.stopping:
            times.append(self.deadline_at)
        return min(times, default=None)


class Explanation(TypedDict, total=False):
    """What is said about a saga's end."""

    reason: str | None
    message: str | None
    result: dict[str, Any] | None


class SagaChanges(Explanation, total=False):
    """The fields of a Saga that a rule may change; the others are what the saga was started with."""

    phase: Phase
    suspended: bool
    stopping: bool
    replayed: bool
    deadline_at: float | None
    ended_at: float | None
    cause: int | None


def new_saga(
    *,
    saga_id: str,
    namespace: str,
    name: str,
    definition: str,
    revision: str,
    steps: int,
    saga_input: dict[str, Any],
    now: float,
) -> Saga:
    """A saga that has not been accepted yet: `advance` it with `Accepted` to start it."""
    return Saga(
        id=saga_id,
        namespace=namespace,
        name=name,
        definition=definition,
        revision=revision,
        input=saga_input,
        steps=(StepState(),) * steps,
        accepted_at=now,
    )
