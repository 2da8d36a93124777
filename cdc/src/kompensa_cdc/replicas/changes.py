"""Reduce a batch of events to each key's newest state and newest deletion, and find what must be parked. Pure.

A copy's row depends on the *set* of its key's events, not on their order: on the newest state, the newest deletion, and
which of the two is newer. So a batch may be folded before it is written: the result is the same as if each event were
written by itself, in any order, and as often as it comes.
"""

from collections.abc import Iterable, Mapping

import msgspec

from kompensa_cdc.replicas.rows import Row
from kompensa_consumer import Event, Poison, version_in


class Change(msgspec.Struct, frozen=True):
    """An event ready to be applied. `row` is None for a deletion."""

    event: Event
    row: Row | None

    @property
    def place(self) -> tuple[str, int, int]:
        return self.event.place


class Folded(msgspec.Struct, frozen=True):
    """All of one key's changes in a batch, reduced to what decides its row."""

    key: str
    state: Change | None = None
    deletion: Change | None = None


class Waiting(msgspec.Struct, frozen=True):
    """A poison event, and its version: the event is superseded when the copy reaches that."""

    poison: Poison
    version: int


class Settled(msgspec.Struct, frozen=True):
    """The outcome for the keys of poison events.

    Attributes
    ----------
    newest
        The version that the copy holds of each key now.
    waiting
        Poison events that are newer than that: they are parked.
    superseded
        Poison events that are not newer: they are dropped.
    """

    newest: Mapping[str, int]
    waiting: tuple[Waiting, ...]
    superseded: tuple[Poison, ...]


def with_change(folded: Folded, change: Change) -> Folded:
    """Take in one more change of the key. A duplicate, or a change older than the known one, makes no difference."""
    if change.row is None:
        return Folded(folded.key, folded.state, _newer(folded.deletion, change))
    return Folded(folded.key, _newer(folded.state, change), folded.deletion)


def _newer(known: Change | None, change: Change) -> Change:
    if known is None or known.event.aggregate_version < change.event.aggregate_version:
        return change
    return known


def fold(changes: Iterable[Change]) -> dict[str, Folded]:
    """Reduce the changes of each key to its newest state and its newest deletion."""
    folded: dict[str, Folded] = {}
    for change in changes:
        key = change.event.key
        folded[key] = with_change(folded.get(key) or Folded(key), change)
    return folded


def settle(items: Iterable[Change | Poison], held: Mapping[str, int]) -> Settled:
    """Sort the poison events of a batch into those that wait for a person and those that are superseded.

    Each event carries the full state of its aggregate. So a newer state or deletion supersedes an older event, even if
    the older event does not fit. An event without a readable version counts as the next version after the one that the
    copy holds: it is shown until the copy has moved on.

    Parameters
    ----------
    items
        In the order they were read. Events that the table rejected are among them, as Poison.
    held
        The version that the copy held of each key before the batch; keys without any version are absent.
    """
    newest = dict(held)
    poison_events: list[Waiting] = []
    for item in items:
        if isinstance(item, Poison):
            poison_events.append(Waiting(item, version_in(item.headers) or newest.get(item.key, 0) + 1))
        else:
            newest[item.event.key] = max(newest.get(item.event.key, 0), item.event.aggregate_version)
    return Settled(
        newest,
        tuple(each for each in poison_events if each.version > newest.get(each.poison.key, 0)),
        tuple(each.poison for each in poison_events if each.version <= newest.get(each.poison.key, 0)),
    )


def key_of(item: Change | Poison) -> str:
    return item.event.key if isinstance(item, Change) else item.key
