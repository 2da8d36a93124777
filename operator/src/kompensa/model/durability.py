"""Which decisions must be in the journal before they are acted on.

The rule of safety: before a participant is called, durable state says that it may have been called. After a crash,
"may have been called" means unknown, never "not started".

Eager. For a participant without idempotency by key, every call waits for its own write.

Lazy. For a `Keyed` participant the acceptance of the saga is that statement, for all its steps at once. After a
crash the saga is replayed from its last durable state: a step that ran answers from its stored reply, one that was
refused is refused again, one that never arrived runs now. Three things must nevertheless be durable first:

- *turning back*. Otherwise: step 2 times out, step 1 is compensated, the engine dies; the replay calls step 1, gets
  the stored success of an effect that is gone, step 2 answers this time, and the saga succeeds without step 1;
- *the first Retriable step*. Otherwise a replay could meet a deadline or a cancellation and undo a saga whose last
  step, which nobody undoes, has happened;
- *whatever a person was told or asked for*: terminal phases, parking, suspension, a wait that people can see.

A replay may also stop earlier than the life before it did, so steps that the journal calls waiting may have run.
`Saga.replayed` remembers that, and `undo` compensates them too; a participant that never saw them leaves a tombstone.
"""

from __future__ import annotations

from collections.abc import Sequence

from kompensa.model.commands import CallAction, CallCompensation, CallProbe, Command
from kompensa.model.definition import Definition
from kompensa.model.saga import Saga, StepPhase


def must_commit_first(definition: Definition, before: Saga, after: Saga, commands: Sequence[Command]) -> bool:
    """Whether `after` must be durable before `commands` are carried out."""
    if (
        after.phase is not before.phase
        or after.stopping is not before.stopping
        or after.suspended is not before.suspended
    ):
        return True
    if any(new.due is not None and new.due != old.due for old, new in zip(before.steps, after.steps, strict=True)):
        return True
    return any(_needs_its_own_write(definition, before, command) for command in commands)


def _needs_its_own_write(definition: Definition, before: Saga, command: Command) -> bool:
    match command:
        case CallAction(step=index):
            step = definition.steps[index]
            return not step.keyed or (step.retriable and before.steps[index].phase is StepPhase.WAITING)
        case CallCompensation(step=index):
            return not definition.steps[index].keyed
        case CallProbe():
            return False  # asking changes nothing
        case _:
            return True
