"""What a batch of events comes to: per key the newest state and the newest deletion, and what waits aside. Pure.

A copy's row is a function of the *set* of its key's events, not of their order: the newest state, the newest
deletion, and which of the two is newer. So folding a batch first and then applying it gives what applying each event
by itself gives, in any order and however often each comes.
"""

from collections.abc import Iterable, Mapping

import msgspec

from kompensa_cdc.events import Event, Poison, version_in
from kompensa_cdc.replicas.rows import Row


class Change(msgspec.Struct, frozen=True):
    """An event ready to be applied. `row` is None for a deletion."""

    event: Event
    row: Row | None


class Folded(msgspec.Struct, frozen=True):
    """All of one key's changes in a batch, reduced to what decides its row."""

    key: str
    state: Change | None = None
    deletion: Change | None = None


class Waiting(msgspec.Struct, frozen=True):
    """A poison event, and the version that the copy must reach before it is of no more interest."""

    poison: Poison
    version: int


class Settled(msgspec.Struct, frozen=True):
    """`newest` is the version that the copy holds of each key now, `waiting` what is not superseded by it."""

    newest: Mapping[str, int]
    waiting: tuple[Waiting, ...]
    superseded: tuple[Poison, ...]


def with_change(folded: Folded, change: Change) -> Folded:
    """Take in one more change of the key; a duplicate or an older one of its kind leaves everything as it is."""
    if change.row is None:
        return Folded(folded.key, folded.state, _newer(folded.deletion, change))
    return Folded(folded.key, _newer(folded.state, change), folded.deletion)


def _newer(known: Change | None, change: Change) -> Change:
    if known is None or known.event.aggregate_version < change.event.aggregate_version:
        return change
    return known


def fold(changes: Iterable[Change]) -> dict[str, Folded]:
    folded: dict[str, Folded] = {}
    for change in changes:
        key = change.event.key
        folded[key] = with_change(folded.get(key) or Folded(key), change)
    return folded


def settle(items: Iterable[Change | Poison], held: Mapping[str, int]) -> Settled:
    """Part the poison of a batch into what waits for a person and what the copy is past already.

    Each event carries the full state of its aggregate, so a newer state or deletion supersedes an older event, and
    whether that one fits makes no difference. A version that nobody can read counts as the next after what the copy
    holds when the event is read: it is shown until the copy has moved on.

    Parameters
    ----------
    items
        In the order they were read; what the table refused is among them as Poison.
    held
        The version of each key, of its row or its deletion, that the copy held before; keys without any are absent.
    """
    newest = dict(held)
    aside: list[Waiting] = []
    for item in items:
        if isinstance(item, Poison):
            aside.append(Waiting(item, version_in(item.headers) or newest.get(item.key, 0) + 1))
        else:
            newest[item.event.key] = max(newest.get(item.event.key, 0), item.event.aggregate_version)
    return Settled(
        newest,
        tuple(each for each in aside if each.version > newest.get(each.poison.key, 0)),
        tuple(each.poison for each in aside if each.version <= newest.get(each.poison.key, 0)),
    )


def key_of(item: Change | Poison) -> str:
    return item.event.key if isinstance(item, Change) else item.key
