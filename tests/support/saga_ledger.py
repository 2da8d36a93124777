"""Participants as their databases would show them, for one saga."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from kompensa.model.definition import Definition, Step
from kompensa.model.outcomes import Direction, Outcome


@dataclass
class Ledger:
    """The effects of participants for one saga, as their databases would show them.

    Keyed steps are served with the kit's semantics: a stored reply for each key, a tombstone where the compensation
    came first. Others only know whether their effect is there: they refuse a second one, and undo what is there.

    `doubting`: keyed ones, too, refuse an action that they have done, as if its body were another this time.
    """

    definition: Definition
    refusing: frozenset[int]
    rows: dict[tuple[int, Direction], Outcome] = field(default_factory=dict)
    standing: set[int] = field(default_factory=set)
    done: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    doubting: bool = False

    def copy(self) -> Ledger:
        return replace(
            self,
            rows=dict(self.rows),
            standing=set(self.standing),
            done=list(self.done),
            undone=list(self.undone),
        )

    def receive(self, step: Step, direction: Direction) -> Outcome:
        if not step.keyed:
            return self._act(step) if direction is Direction.ACTION else self._undo(step)
        known = self.rows.get((step.index, direction))
        if known is None:
            known = self._act(step) if direction is Direction.ACTION else self._undo(step)
            self.rows[step.index, direction] = known
            if direction is Direction.COMPENSATION:
                self.rows.setdefault((step.index, Direction.ACTION), Outcome.FAILED)  # the tombstone
        elif self.doubting and direction is Direction.ACTION:
            return Outcome.FAILED
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
