"""The state of one saga. The journal keeps it, and `advance` needs nothing else to go on.

States are immutable: each transition makes a new one. Times are seconds since the epoch (UTC) of the caller's clock.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import Any, NamedTuple, TypedDict, assert_never

from msgspec import Struct

from kompensa.model.outcomes import Outcome


class Phase(StrEnum):
    """The phase of a saga. Suspension is a separate flag (`Saga.suspended`): both directions can be suspended."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPENSATING = "Compensating"
    SUCCEEDED = "Succeeded"
    COMPENSATED = "Compensated"
    INTERVENTION_REQUIRED = "InterventionRequired"
    TERMINATED = "Terminated"


class Stage(Enum):
    """A coarser view of a phase: how a saga in it goes on."""

    NOT_ACCEPTED = auto()
    MOVING = auto()
    """It goes on by itself."""
    WAITING_FOR_A_PERSON = auto()
    TERMINAL = auto()
    """It has ended and never changes again."""


def stage_of(phase: Phase) -> Stage:
    """The stage of a phase. All sets of phases come from this function, so a new phase is classified only here."""
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
"""The saga has ended and never changes again."""
RESTING = _phases(Stage.TERMINAL, Stage.WAITING_FOR_A_PERSON)
"""Nothing happens unless a person acts: `TERMINAL` and InterventionRequired. Here clients stop waiting for a saga."""
UNFINISHED = frozenset(Phase) - RESTING
"""The saga still goes on by itself: Pending and `MOVING`."""


class StepPhase(StrEnum):
    """The phase of a step."""

    WAITING = "Waiting"
    CALLING = "Calling"
    """The action may be under way: the intent to call it is recorded, its outcome is not known yet."""
    RETRYING = "Retrying"
    """The outcome of the last attempt was unknown. `due` says when the action is called again."""
    PROBING = "Probing"
    """No retry is left, and the participant is being asked whether the action took place."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """The action had no effect: the participant refused it, or no attempt was sent."""
    UNKNOWN = "Unknown"
    """The action will not be called again, but may have had its effect. It will be compensated."""
    UNDOING = "Undoing"
    UNDO_RETRYING = "UndoRetrying"
    UNDONE = "Undone"
    PARKED = "Parked"
    """The action could not be completed, and the step waits for a person."""
    UNDO_PARKED = "UndoParked"
    """The compensation could not be completed, and the step waits for a person."""


class Activity(Enum):
    """The thing that a step waits for."""

    NONE = auto()
    """It has not started, or it is over."""
    CALL = auto()
    """A call is under way."""
    BACK_OFF = auto()
    """The next attempt is due later."""
    PERSON = auto()
    """A person has to act."""


class StepTraits(NamedTuple):
    """Properties of a step's phase. `effect`: the action's effect may be there, and no call is undoing it yet."""

    activity: Activity
    undoing: bool = False
    effect: bool = False


def traits_of(phase: StepPhase) -> StepTraits:
    """The traits of a phase. All sets of step phases come from this function, so a new one is classified only here."""
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
"""A call of the step is under way: its action or its probe."""
AT_WORK = _step_phases(Activity.CALL, Activity.BACK_OFF)
"""The step goes on by itself."""
TO_BE_TRIED = _step_phases(Activity.BACK_OFF, Activity.PERSON, undoing=False)
"""The action was called without success, and is to be called again."""
UNDO_UNDER_WAY = _step_phases(Activity.CALL, Activity.BACK_OFF, undoing=True)
"""The step is being compensated."""
PARKED_STEPS = _step_phases(Activity.PERSON)
"""The step waits for a person."""
MAY_HAVE_EFFECT = frozenset(phase for phase in StepPhase if traits_of(phase).effect)
"""The action's effect may be there, and must be undone if the saga turns back."""


class StepState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of one saga.

    Attributes
    ----------
    outcome
        The outcome of the action. It stays while the step is undone.
    order
        The number of the step's first attempt among all steps: 1, 2, and so on. Compensation goes in reverse order.
    attempts, undo_attempts
        The number of calls of the action and of the compensation so far.
    budget_start, undo_budget_start
        The number of calls at which the retry policy began to count. It moves when a person resumes a parked step.
    maybe
        An earlier attempt, before or after a crash, may have had its effect. So if a later attempt is refused or is
        not sent, this does not prove that there is no effect.
    due
        When the step is called again.
    reason, message
        Why the step is not successful or not compensated.
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
    """The fields of a StepState that a rule may change. mypy reports a misspelt one. A test compares both classes."""

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

    Attributes
    ----------
    suspended
        A user asked to make no new call.
    stopping
        The saga will be undone, but calls are still under way. No step starts. Compensation begins after those calls.
    replayed
        The saga was recovered under lazy journalling. Steps that are recorded as waiting may have run before the crash
        (see `durability`).
    cause
        Index of the step that `reason` and `message` are about.
    reason, message
        Why the saga is undone. If it is parked, the parked step says why.
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
    reason: str | None = None
    message: str | None = None
    result: dict[str, Any] | None = None

    @property
    def terminal(self) -> bool:
        return self.phase in TERMINAL

    @property
    def settled(self) -> bool:
        """Whether no call of any step is under way."""
        return not any(step.phase in IN_FLIGHT for step in self.steps)

    @property
    def wake_at(self) -> float | None:
        """The time of the next `TimerDue`: the next attempt or the deadline, whichever is earlier.

        None if there is none, and while the saga is suspended or parked. When it is resumed, attempts and the deadline
        that came due meanwhile are handled.
        """
        if self.suspended or self.phase not in MOVING:
            return None
        times = [step.due for step in self.steps if step.due is not None]
        if self.deadline_at is not None and not self.stopping:
            times.append(self.deadline_at)
        return min(times, default=None)


class Explanation(TypedDict, total=False):
    """The fields of a Saga that explain its end."""

    reason: str | None
    message: str | None
    result: dict[str, Any] | None


class SagaChanges(Explanation, total=False):
    """The fields of a Saga that a rule may change. The others are fixed when the saga starts."""

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
    """A saga that has not been accepted yet. To start it, call `advance` with `Accepted`."""
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
