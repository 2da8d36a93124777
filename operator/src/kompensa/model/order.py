"""Which step waits for which other step, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from msgspec import UNSET

from kompensa.model.specs import SagaDefinitionSpec


def dependencies(spec: SagaDefinitionSpec) -> dict[str, list[str]]:
    """For each step, the steps that it waits for: those in dependsOn, or else the step before it in the list."""
    found: dict[str, list[str]] = {}
    before: list[str] = []
    for step in spec.steps:
        found[step.name] = before if step.depends_on is UNSET else list(dict.fromkeys(step.depends_on))
        before = [step.name]
    return found


def ancestors(waits: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """For each step, every step that has succeeded by the time it starts.

    Raises
    ------
    graphlib.CycleError
        Steps wait for each other.
    """
    found: dict[str, frozenset[str]] = {}
    for name in TopologicalSorter(waits).static_order():
        found[name] = frozenset(waits[name]).union(*(found[parent] for parent in waits[name]))
    return found


def chain_lengths(waits: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """For each step, the length of the longest chain of steps that it waits for.

    Raises
    ------
    graphlib.CycleError
        Steps wait for each other.
    """
    found: dict[str, int] = {}
    for name in TopologicalSorter(waits).static_order():
        found[name] = max((found[parent] + 1 for parent in waits[name]), default=0)
    return found
