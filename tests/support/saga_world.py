"""One saga, its engine, the network and the participants in one thread, on a virtual clock.

The next event (which reply comes, which is lost, when the engine dies) is read from a tape of bytes, so a test
library can search and shrink it, or is enumerated by `explore`. At every call the world checks that
durable state had declared it; in the end everything heals, and `verify` judges by the participants' ledgers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from enum import Enum, auto
from functools import partial

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
from tests.support.saga_ledger import Ledger
from tests.support.saga_verdict import check_transition

MustCommitFirst = Callable[[Definition, Saga, Saga, Sequence[Command]], bool]
HEALED_WITHIN = 600
PATIENCE = 3


class Fate(Enum):
    """The outcome of one call."""

    ANSWERED = auto()
    NOT_SENT = auto()
    """No process listens at the participant's address."""
    REQUEST_LOST = auto()
    REPLY_LOST = auto()
    DELAYED = auto()
    """The caller gives up; the request arrives later."""
    WRONG = auto()
    """Refused as misdirected (401, 404): nothing happens."""


class SagaWorld:
    """The engine's life with one saga. It goes on deciding while writes are under way; they land in their order.

    `person` is what is first asked of a saga that waits for one; from then on it is resumed.
    """

    def __init__(
        self,
        definition: Definition,
        *,
        refusing: frozenset[int] = frozenset(),
        doubting: bool = False,
        person: Event | None = None,
        must_commit: MustCommitFirst = must_commit_first,
    ) -> None:
        self.definition = definition
        self.ledger = Ledger(definition, refusing, doubting=doubting)
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
        self.left: set[int] = set()
        """Steps of which an action may have left the engine."""
        self.lives = 1
        self.held = False
        """Whether a person interfered: cancelled, suspended or resumed."""
        self.person = person or ResumeAsked()
        self.patience = PATIENCE
        self._must_commit = must_commit
        self.feed(Accepted())

    # Acts of the engine

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

    # Events around it

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
        if fate is Fate.NOT_SENT:
            return Outcome.NOT_SENT
        if direction is Direction.ACTION:
            self.left.add(step.index)
        if fate is Fate.ANSWERED:
            return self.ledger.receive(step, direction)
        if fate is Fate.WRONG:
            return Outcome.MISCONFIGURED
        if fate is Fate.REPLY_LOST:
            self.ledger.receive(step, direction)
        if fate is Fate.DELAYED and step.keyed:  # without a tombstone, no participant can refuse a late request
            self.delayed.append((step, direction))
        return Outcome.UNKNOWN

    def arrive(self, position: int) -> None:
        """A delayed request reaches its participant; no caller waits for the reply any more."""
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

    def crash(self, landed: int, in_flight: int) -> None:
        """The engine dies, another one takes over from the journal. Some writes and requests had still got through."""
        if landed:
            self.durable = self.writes[landed - 1][0]
        for number, command in enumerate(self.calls):
            if isinstance(command, CallAction | CallCompensation):
                direction = Direction.ACTION if isinstance(command, CallAction) else Direction.COMPENSATION
                fate = (Fate.REPLY_LOST, Fate.REQUEST_LOST, Fate.DELAYED)[(in_flight + number) % 3]
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
            other = Fate.WRONG if choice > 12 else Fate.NOT_SENT if choice > 8 else Fate.REPLY_LOST
            fates = (Fate.REQUEST_LOST, Fate.REPLY_LOST, Fate.DELAYED, other)
            self.settle(choice, fates[what - 6])
        elif what <= 11 and self.writes:
            self.written()
        elif what == 12:
            self.wake(early=choice > 10)
        elif what == 13:
            self.crash(choice % (len(self.writes) + 1), choice // 4)
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
        for _ in range(HEALED_WITHIN):
            if not self.go_on():
                break
        while self.delayed:
            self.arrive(0)

    def go_on(self) -> bool:
        """The next thing that happens when all is well; False when there is none."""
        if self.writes:
            self.written()
        elif self.calls:
            self.settle(0, Fate.ANSWERED)
        elif self.saga.terminal:
            return False
        elif self.saga.wake_at is not None:
            self.wake()
        elif self.patience:
            self.interfere(self.person if self.patience == PATIENCE else ResumeAsked())
            self.patience -= 1
        else:
            return False
        return True

    def copy(self) -> SagaWorld:
        """A world that goes its own way from here."""
        other = copy(self)
        other.ledger = self.ledger.copy()
        other.left = set(self.left)
        for name in ("writes", "calls", "delayed", "replies", "sent", "decided"):
            setattr(other, name, list(getattr(self, name)))
        return other


def explore(world: SagaWorld, faults: int) -> Iterator[SagaWorld]:
    """Every way it can end with at most so many faults, one at any point, in any combination."""
    while True:
        if faults:
            for fault in _possible_faults(world):
                other = world.copy()
                fault(other)
                yield from explore(other, faults - 1)
        if not world.go_on():
            break
    while world.delayed:
        world.arrive(0)
    yield world


def _possible_faults(world: SagaWorld) -> Iterator[Callable[[SagaWorld], None]]:
    if world.saga.terminal:
        return
    for position in range(len(world.calls)):
        for fate in Fate:
            if (position, fate) != (0, Fate.ANSWERED):
                yield partial(SagaWorld.settle, position=position, fate=fate)
    for landed in range(len(world.writes) + 1):
        for in_flight in (0, 1, 2) if world.calls else (0,):
            yield partial(SagaWorld.crash, landed=landed, in_flight=in_flight)
    if world.delayed:
        yield partial(SagaWorld.arrive, position=0)
    yield partial(SagaWorld.interfere, event=CancelAsked())
    if not world.saga.suspended and world.patience:
        yield partial(SagaWorld.interfere, event=SuspendAsked())
