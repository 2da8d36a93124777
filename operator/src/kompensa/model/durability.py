"""Which decisions must be in the journal before they are acted on.

The rule of safety: before a participant is called, durable state says that it may have been called. After a crash,
"may have been called" means unknown, never "not started".

Eager. For a participant without idempotency by key, every call waits for its own write.

Lazy. For a `Keyed` participant the acceptance of the saga is that statement, for all its steps at once. After a
crash the saga is replayed from its last durable state: a step that ran answers from its stored reply, one that was
refused is refused again, one that never arrived runs now. Three things must nevertheless be durable first:

- *turning back*. Otherwise: step 2 times out, step 1 is compensated, the engine dies; the replay calls step 1, gets
  the stored success of an effect that is gone, step 2 answers this time, and the saga succeeds without step 1;
- *the first Retriable step*. Otherwise a replay could meet a deadline, a cancellation or a participant that does not
  answer any more, and undo a saga whose last step, which nobody undoes, has happened. One write is enough for all
  Retriable steps: once the first is declared, no replay turns back;
- *whatever a person was told or asked for*: terminal phases, parking, suspension, a wait for the next attempt.

A replay may also stop earlier than the life before it did, so steps that the journal calls waiting may have run.
`Saga.replayed` remembers that, and `undo` compensates them too, with the step that stopped it: that it was refused in
the replay does not prove what it was told before. A participant that never saw them leaves a tombstone,
which also refuses a request of the earlier life that is still on its way. A saga whose durable state is suspended needs
none of this: suspending writes down every call made so far, resuming is written before the next, so that one that was
accepted suspended is known to have called nobody. A Retriable step or one of a participant
without keys cannot have run unrecorded: its own write came first. For the same reason a step of a Keyed participant
must be compensable without any step's outputs (the linter sees to it): the replay may never learn them.

Two duties of the engine make this enough: the commands of a transition wait for that transition's own write, and the
writes of one saga land in their order. Events may still be handled while a write is under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from kompensa.model.commands import CallAction, CallCompensation, CallProbe, Command, Finish
from kompensa.model.definition import Definition
from kompensa.model.forward import beyond_return
from kompensa.model.saga import Saga


def must_commit_first(definition: Definition, before: Saga, after: Saga, commands: Sequence[Command]) -> bool:
    """Whether `after` must be durable before `commands` are carried out and people are told.

    `before` is the state that the event found, be its own write under way still or not.
    """
    if after.phase is not before.phase or after.stopping != before.stopping or after.suspended != before.suspended:
        return True
    # Loops, as generators would double the cost, and this runs at each transition.
    for old, new in zip(before.steps, after.steps, strict=True):
        if new.due is not None and new.due != old.due:
            return True
    for command in commands:
        if not _declared(definition, before, command):
            return True
    return False


def _declared(definition: Definition, before: Saga, command: Command) -> bool:
    """Whether an earlier write already says that this may have been done."""
    match command:
        case CallAction(step=index):
            step = definition.steps[index]
            return step.keyed and (not step.retriable or beyond_return(definition, before.steps))
        case CallCompensation(step=index):
            return definition.steps[index].keyed
        case CallProbe():
            return True  # asking changes nothing
        case Finish():
            return False
        case _:
            assert_never(command)
