"""Which decisions must be in the journal before the engine acts on them.

The rule of safety: before the engine calls a participant, durable state says that the call may have been made. After a
crash, "may have been made" means unknown, never "not started".

**Eager.** If the participant has no idempotency by key, each call waits for its own write.

**Lazy.** If the participant is `Keyed`, the acceptance of the saga already says "may have been made" for all its steps.
After a crash the saga is replayed from its last durable state. A step that ran answers from its stored reply. A step
that was refused is refused again. A step that never arrived runs now. Three kinds of decision must still be durable
first:

- *Turning back.* Suppose that it were not written: step 2 times out, step 1 is compensated, the engine dies. The replay
  calls step 1 and gets the stored success of an effect that is gone. Step 2 answers this time, and the saga succeeds
  without step 1.
- *The first Retriable step.* Suppose that it were not written: the replay meets a deadline, a cancellation or a
  participant that no longer answers. It undoes the saga although a step that cannot be undone has run. One write is
  enough for all Retriable steps: after the first one is recorded, no replay turns back.
- *Anything that a person sees or asked for*: terminal phases, parking, suspension, a wait for the next attempt.

**Steps that ran without a record.** A replay may stop earlier than the run before it. Then steps that the journal shows
as waiting may have run. `Saga.replayed` remembers this, and `undo` compensates those steps too. It also compensates the
step that stopped the replay: its refusal in the replay does not prove that its first call was refused. If the
participant never saw a step, its compensation leaves a tombstone. The tombstone also refuses a request of the earlier
run that still is on its way. Compensations of a Keyed participant must therefore not use outputs of steps, which a
replay may never learn; the linter checks this.

Some steps cannot have run without a record. A Retriable step and a step of a participant without keys cannot, since
their own writes came first. No step can, if the durable state is suspended: suspending writes each call made so far,
and resuming is written before the next call.

The engine has two duties. The commands of a transition wait for the write of that transition. The writes of one saga
reach the journal in their order. The engine may handle further events while a write is under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from kompensa.model.commands import CallAction, CallCompensation, CallProbe, Command, Finish
from kompensa.model.definition import Definition
from kompensa.model.forward import beyond_return
from kompensa.model.saga import Saga


def must_commit_first(definition: Definition, before: Saga, after: Saga, commands: Sequence[Command]) -> bool:
    """Whether `after` must be durable before the engine carries out `commands` and shows the new state.

    Parameters
    ----------
    before
        The state that the event found. Its own write may still be under way.
    after
        The state that the event led to.
    """
    if after.phase is not before.phase or after.stopping != before.stopping or after.suspended != before.suspended:
        return True
    # Loops instead of any(): generators would double the cost, and this runs at each transition.
    for old, new in zip(before.steps, after.steps, strict=True):
        if new.due is not None and new.due != old.due:
            return True
    for command in commands:
        if not _is_recorded(definition, before, command):
            return True
    return False


def _is_recorded(definition: Definition, before: Saga, command: Command) -> bool:
    """Whether an earlier write already says that the command may have been carried out."""
    match command:
        case CallAction(step=index):
            step = definition.steps[index]
            return step.keyed and (not step.retriable or beyond_return(definition, before.steps))
        case CallCompensation(step=index):
            return definition.steps[index].keyed
        case CallProbe():
            return True  # the question changes nothing
        case Finish():
            return False
        case _:
            assert_never(command)
