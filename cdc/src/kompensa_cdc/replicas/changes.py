"""What a batch of events comes to: per key the newest state and the newest deletion. Pure.

A copy's row is a function of the *set* of its key's events, not of their order: the newest state, the newest
deletion, and which of the two is newer. So folding a batch first and then applying it gives what applying each event
by itself gives, in any order and however often each comes.
"""

from collections.abc import Iterable, Mapping

import msgspec

from kompensa_cdc.events import Event, Poison, poisoned
from kompensa_cdc.replicas.rows import Row

HELD = "held: an earlier event of this key is parked"


class Change(msgspec.Struct, frozen=True):
    """An event ready to be applied. `row` is None for a deletion."""

    event: Event
    row: Row | None


class Folded(msgspec.Struct, frozen=True):
    """All of one key's changes in a batch, reduced to what decides its row."""

    key: str
    state: Change | None = None
    deletion: Change | None = None


class Plan(msgspec.Struct, frozen=True):
    """What to write for a batch: `folded` into the copy, `parked` into the bookkeeping."""

    folded: tuple[Folded, ...]
    parked: tuple[Poison, ...]


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


def plan(items: Iterable[Change | Poison], held: Mapping[str, int]) -> Plan:
    """Part a batch into what is applied and what is parked.

    A poison parks its key: from there on later versions of the key are held behind it, in order. Older versions that
    arrive late (another topic, a rewind) are still applied, as they would have been had they come in time.

    Parameters
    ----------
    held
        The keys that are parked already, with the lowest version that is (0: a version nobody could read).
    """
    lowest = dict(held)
    changes: list[Change] = []
    parked: list[Poison] = []
    for item in items:
        if isinstance(item, Poison):
            parked.append(item)
            lowest[item.key] = min(lowest.get(item.key, 2**63), version_of(item))
        elif lowest.get(item.event.key, 2**63) <= item.event.aggregate_version:
            parked.append(poisoned(item.event, HELD))
        else:
            changes.append(item)
    return Plan(tuple(fold(changes).values()), tuple(parked))


def version_of(poison: Poison) -> int:
    """The aggregate's version of a poison record, or 0 if it cannot be read."""
    text = poison.headers.get("aggregate-version") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
