"""One saga, its engine, the network and the participants in one thread, on a virtual clock.

What happens next (which reply comes, which is lost, when the engine dies) is read from a tape of bytes, so a test
library can search and shrink it. Whatever the tape does, the world checks at every call that durable state had
declared it; when the tape has run out everything heals, and `verify` judges by the participants' ledgers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from kompensa.model.commands import CallAction, CallCompensation, CallProbe, Command
from kompensa.model.definition import Definition, Step
from kompensa.model.durability import must_commit_first
from kompensa.model.events import (
    Accepted,
    CancelAsked,
    Event,
    Probed,
    Recovered,
    Replied,
    ResumeAsked,
    SuspendAsked,
    TimerDue,
)
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.saga import Phase, Saga, StepPhase, new_saga
from kompensa.model.transition import advance

MustCommitFirst = Callable[[Definition, Saga, Saga, Sequence[Command]], bool]
HEALED_WITHIN = 600
RESUMES = 4


class Fate(Enum):
    """What becomes of one call."""

    ANSWERED = auto()
    REQUEST_LOST = auto()
    REPLY_LOST = auto()
    DELAYED = auto()
    """The caller gives up; the request arrives later."""
    WRONG = auto()
    """Refused as misdirected (401, 404): nothing happens."""


@dataclass
class Ledger:
    """What participants did for this saga, as their databases would tell.

    Keyed steps are served with the kit's semantics: a stored reply for each key, a tombstone where the compensation
    came first. Others only know whether their effect is there: they refuse a second one, and undo what is there.
    """

    definition: Definition
    refusing: frozenset[int]
    rows: dict[tuple[int, Direction], Outcome] = field(default_factory=dict)
    standing: set[int] = field(default_factory=set)
    done: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)

    def receive(self, step: Step, direction: Direction) -> Outcome:
        if not step.keyed:
            return self._act(step) if direction is Direction.ACTION else self._undo(step)
        known = self.rows.get((step.index, direction))
        if known is None:
            known = self._act(step) if direction is Direction.ACTION else self._undo(step)
            self.rows[step.index, direction] = known
            if direction is Direction.COMPENSATION:
                self.rows.setdefault((step.index, Direction.ACTION), Outcome.FAILED)  # the tombstone
        return known

    def probe(self, step: Step) -> Outcome:
        if step.keyed:
            return self.rows.get((step.index, Direction.ACTION), Outcome.ABSENT)
        return Outcome.SUCCEEDED if step.index in self.standing else Outcome.ABSENT

    def _act(self, step: Step) -> Outcome:
        if step.index in self.refusing or step.index in self.standing:
            return Outcome.FAILED
        self.standing.add(step.index)
        self.done.append(step.index)
        return Outcome.SUCCEEDED

    def _undo(self, step: Step) -> Outcome:
        if step.index in self.standing:
            self.standing.remove(step.index)
            self.undone.append(step.index)
        return Outcome.SUCCEEDED


class World:
    """The engine's life with one saga. It goes on deciding while writes are under way; they land in their order."""

    def __init__(
        self,
        definition: Definition,
        *,
        refusing: frozenset[int] = frozenset(),
        crashes: bool = True,
        must_commit: MustCommitFirst = must_commit_first,
    ) -> None:
        self.definition = definition
        self.ledger = Ledger(definition, refusing)
        self.now = 1000.0
        self.saga = new_saga(
            saga_id="00000000-0000-4000-8000-000000000001",
            namespace="shop",
            name="test",
            definition="test",
            revision="0",
            steps=len(definition.steps),
            saga_input={},
            now=self.now,
        )
        self.durable = self.saga
        self.writes: list[tuple[Saga, tuple[Command, ...]]] = []
        """Under way to the journal, in order, each with the commands that wait for it."""
        self.calls: list[Command] = []
        self.delayed: list[tuple[Step, Direction]] = []
        self.replies: list[Event] = []
        self.sent: list[Command] = []
        self.decided: list[Command] = []
        self.lives = 1
        self.held = False
        """Whether anybody interfered: cancelled, suspended or resumed."""
        self._crashes = crashes
        self._must_commit = must_commit
        self.feed(Accepted())

    # What the engine does

    def feed(self, event: Event) -> None:
        before = self.saga
        decided = advance(self.definition, before, event, self.now)
        check_transition(before, decided.saga, decided.commands)
        self.saga = decided.saga
        self.decided += decided.commands
        if self._must_commit(self.definition, before, decided.saga, decided.commands):
            self.writes.append((decided.saga, decided.commands))
        else:
            self._carry_out(decided.commands)

    def written(self) -> None:
        """The oldest write under way is acknowledged."""
        self.durable, commands = self.writes.pop(0)
        self._carry_out(commands)

    def _carry_out(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, CallAction | CallCompensation):
                self._check_declared(command)
                self.sent.append(command)
            if isinstance(command, CallAction | CallCompensation | CallProbe):
                self.calls.append(command)

    def _check_declared(self, command: CallAction | CallCompensation) -> None:
        """Written without a look at `durability`: this is the rule, that is how it is kept."""
        step = self.definition.steps[command.step]
        state = self.durable.steps[command.step]
        assert self.durable.phase is not Phase.PENDING, "a participant was called before the saga was accepted durably"
        if isinstance(command, CallCompensation):
            assert not step.retriable, "a Retriable step was compensated"
            assert self.durable.phase is Phase.COMPENSATING, "compensation began before turning back was durable"
            assert not any(isinstance(c, CallAction) for c in self.calls), "undone around a moving call"
            assert step.keyed or state.undo_attempts >= command.attempt, "a compensation without an intent"
            return
        assert not any(isinstance(c, CallCompensation) for c in self.sent), "an action after a compensation"
        assert step.keyed or state.attempts >= command.attempt, "an action without an intent"
        if step.retriable:
            retriable = [s.index for s in self.definition.steps if s.retriable]
            started = any(self.durable.steps[i].phase is not StepPhase.WAITING for i in retriable)
            assert started, "the point of no return was passed before that was durable"

    # What happens to it

    def settle(self, position: int, fate: Fate) -> None:
        """One call under way gets its fate."""
        command = self.calls.pop(position % len(self.calls))
        assert isinstance(command, CallAction | CallCompensation | CallProbe)
        step = self.definition.steps[command.step]
        if isinstance(command, CallProbe):
            outcome = self.ledger.probe(step) if fate is Fate.ANSWERED else Outcome.UNKNOWN
            event: Event = Probed(step=command.step, attempt=command.attempt, outcome=outcome)
        else:
            direction = Direction.ACTION if isinstance(command, CallAction) else Direction.COMPENSATION
            event = Replied(
                step=command.step,
                direction=direction,
                attempt=command.attempt,
                outcome=self._transmit(step, direction, fate),
            )
        self.replies.append(event)
        self.feed(event)

    def _transmit(self, step: Step, direction: Direction, fate: Fate) -> Outcome:
        if fate is Fate.ANSWERED:
            return self.ledger.receive(step, direction)
        if fate is Fate.WRONG:
            return Outcome.MISCONFIGURED
        if fate is Fate.REPLY_LOST:
            self.ledger.receive(step, direction)
        if fate is Fate.DELAYED and step.keyed:  # nobody can refuse a late request without a tombstone
            self.delayed.append((step, direction))
        return Outcome.UNKNOWN

    def arrive(self, position: int) -> None:
        """A delayed request reaches its participant; nobody waits for the reply any more."""
        self.ledger.receive(*self.delayed.pop(position % len(self.delayed)))

    def repeat(self, position: int) -> None:
        """A reply is delivered again."""
        self.feed(self.replies[position % len(self.replies)])

    def wake(self, *, early: bool = False) -> None:
        if not early and self.saga.wake_at is not None:
            self.now = max(self.now, self.saga.wake_at)
        self.feed(TimerDue())

    def write_in_passing(self) -> None:
        """The engine may always write what it knows."""
        if not self.writes and self.saga.phase is not Phase.PENDING:
            self.durable = self.saga

    def crash(self, choice: int) -> None:
        """The engine dies, another one takes over from the journal. Some writes and requests had still got through."""
        landed = choice % (len(self.writes) + 1)
        if landed:
            self.durable = self.writes[landed - 1][0]
        for number, command in enumerate(self.calls):
            if isinstance(command, CallAction | CallCompensation):
                direction = Direction.ACTION if isinstance(command, CallAction) else Direction.COMPENSATION
                fate = (Fate.REPLY_LOST, Fate.REQUEST_LOST, Fate.DELAYED)[(choice + number) % 3]
                self._transmit(self.definition.steps[command.step], direction, fate)
        self.writes.clear()
        self.calls.clear()
        self.replies.clear()
        self.saga = self.durable
        self.lives += 1
        self.feed(Recovered() if self.durable.phase is not Phase.PENDING else Accepted())

    def interfere(self, event: Event) -> None:
        self.held = True
        self.feed(event)

    # The tape

    def play(self, tape: bytes) -> None:
        """Let the tape decide what happens, byte by byte."""
        for byte in tape:
            self._step(byte % 16, byte // 16)

    def _step(self, what: int, choice: int) -> None:
        if what <= 5 and self.calls:
            self.settle(choice, Fate.ANSWERED)
        elif what <= 9 and self.calls:
            fates = (Fate.REQUEST_LOST, Fate.REPLY_LOST, Fate.DELAYED, Fate.WRONG if choice > 12 else Fate.REPLY_LOST)
            self.settle(choice, fates[what - 6])
        elif what <= 11 and self.writes:
            self.written()
        elif what == 12:
            self.wake(early=choice > 10)
        elif what == 13 and self._crashes:
            self.crash(choice)
        elif what == 14 and self.delayed:
            self.arrive(choice)
        elif what == 14 and self.replies:
            self.repeat(choice)
        elif what == 15:
            self._interfere(choice)

    def _interfere(self, choice: int) -> None:
        if choice < 3:
            self.write_in_passing()
        elif choice < 5:
            self.interfere(SuspendAsked())
        elif choice < 8:
            self.interfere(ResumeAsked())
        elif choice < 10:
            self.interfere(CancelAsked())

    # The end

    def heal(self) -> None:
        """No more faults: everything under way arrives, every timer fires, a person resumes what waits for one."""
        resumes = RESUMES
        for _ in range(HEALED_WITHIN):
            if self.writes:
                self.written()
            elif self.calls:
                self.settle(0, Fate.ANSWERED)
            elif self.saga.terminal:
                break
            elif self.saga.wake_at is not None:
                self.wake()
            elif resumes:
                resumes -= 1
                self.interfere(ResumeAsked())
            else:
                break
        while self.delayed:
            self.arrive(0)


def check_transition(before: Saga, after: Saga, commands: Sequence[Command]) -> None:
    """What holds for every single transition."""
    if before.terminal:
        assert after is before, "a terminal saga changed"
        assert not commands, "a terminal saga asked for something"
    for old, new in zip(before.steps, after.steps, strict=True):
        assert new.attempts >= old.attempts, "attempts were forgotten"
        assert new.undo_attempts >= old.undo_attempts, "attempts were forgotten"
    if after.suspended and before.suspended:
        assert not any(isinstance(c, CallAction | CallCompensation) for c in commands), "a call while suspended"
    if after.terminal and not before.terminal:
        assert after.settled, "ended with a call under way"
        assert after.wake_at is None, "ended with a timer"


def verify(world: World) -> None:
    """After healing: whole or undone, judged by the ledgers; or parked in front of a person for a good reason."""
    saga, ledger, steps = world.saga, world.ledger, world.definition.steps
    everything = {step.index for step in steps}
    if saga.phase is Phase.SUCCEEDED:
        assert ledger.standing == everything, f"succeeded, but standing is {ledger.standing} of {everything}"
        assert not ledger.undone, f"succeeded, but {ledger.undone} was undone"
    elif saga.phase is Phase.COMPENSATED:
        assert not ledger.standing, f"compensated, but {ledger.standing} still stands"
        _verify_compensated(world)
    else:
        assert saga.phase is Phase.INTERVENTION_REQUIRED, f"neither ended nor parked: {saga.phase}"
        assert not ledger.undone, "parked half-way undone although every compensation was possible"
        parked = [step for step in steps if saga.steps[step.index].phase is StepPhase.PARKED]
        assert parked, "parked without a parked step"
        assert all(step.retriable for step in parked), "parked for good although no Retriable step is refused"
    _verify_order(world)
    if world.lives == 1 and not world.held:
        _verify_budgets(world)


def _verify_compensated(world: World) -> None:
    for step, state in zip(world.definition.steps, world.saga.steps, strict=True):
        assert not (step.retriable and state.order), "a saga turned back beyond the point of no return"
        if state.outcome is Outcome.FAILED:
            assert state.undo_attempts == 0, "a step that was proved to have no effect was compensated"
        if state.outcome in (Outcome.UNKNOWN, Outcome.SUCCEEDED):
            assert state.phase is StepPhase.UNDONE, f"a step with outcome {state.outcome} was not compensated"


def _verify_order(world: World) -> None:
    undone = world.ledger.undone
    assert len(undone) == len(set(undone)), "an effect was undone twice"
    for position, index in enumerate(undone):
        for later in undone[position + 1 :]:
            assert index not in set(_ancestors(world.definition, later)), (
                "a step was undone before one that built on it"
            )
    if world.lives == 1:
        firsts = list(dict.fromkeys(c.step for c in world.decided if isinstance(c, CallAction)))
        undoings = list(dict.fromkeys(c.step for c in world.decided if isinstance(c, CallCompensation)))
        expected = [index for index in reversed(firsts) if index in undoings]
        assert undoings == expected, f"compensated in order {undoings}, expected {expected}"


def _verify_budgets(world: World) -> None:
    for step in world.definition.steps:
        actions = sum(1 for c in world.sent if isinstance(c, CallAction) and c.step == step.index)
        assert actions <= step.retry_policy.maximum_attempts, f"{step.name} was called {actions} times"


def _ancestors(definition: Definition, index: int) -> Iterator[int]:
    for parent in definition.steps[index].depends_on:
        yield parent
        yield from _ancestors(definition, parent)
