"""A copy's row depends on the set of its key's events only: not on order, not on repetition, not on batches."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompensa_cdc.replicas import changes
from kompensa_cdc.replicas.changes import Change, Folded, fold, settle, with_change
from kompensa_consumer import Event, Poison

START = datetime(2026, 1, 1, tzinfo=UTC)


def change(key: str, version: int, *, deletes: bool = False) -> Change:
    event = Event(
        topic="orders.customer",
        partition=0,
        offset=version,
        key=key,
        type="customer-deleted" if deletes else "customer-updated",
        version="1.0",
        aggregate_version=version,
        payload=None if deletes else {"email": f"{key}-{version}"},
        value=None,
        headers={"aggregate-version": str(version)},
        occurred_at=START,
    )
    return Change(event, None if deletes else (f"{key}-{version}",))


def poison(key: str, version: int | None) -> Poison:
    headers: dict[str, str | None] = {} if version is None else {"aggregate-version": str(version)}
    offset = version or 1000
    return Poison(topic="orders.customer", partition=0, offset=offset, key=key, headers=headers, value="{", error="bad")


def newest_version(folded: Folded) -> int:
    return folded.state.event.aggregate_version if folded.state else 0


def newest(events: Iterable[Change], *, deletes: bool) -> Change | None:
    kind = [each for each in events if (each.row is None) is deletes]
    return max(kind, key=lambda each: each.event.aggregate_version, default=None)


@st.composite
def histories(draw: st.DrawFn) -> list[Change]:
    """Some keys' gapless histories of states and deletions, then shuffled, with some events twice."""
    events: list[Change] = []
    for key in ("a", "b", "c"):
        kinds = draw(st.lists(st.booleans(), max_size=6))
        events += [change(key, version, deletes=deletes) for version, deletes in enumerate(kinds, start=1)]
    again = draw(st.lists(st.sampled_from(events), max_size=6)) if events else []
    return draw(st.permutations([*events, *again]))


@given(histories())
def test_any_order_and_any_repetition_give_the_newest_state_and_the_newest_deletion(history: list[Change]) -> None:
    for key, folded in fold(history).items():
        own = [each for each in history if each.event.key == key]
        assert folded.state == newest(own, deletes=False)
        assert folded.deletion == newest(own, deletes=True)


@given(histories(), st.data())
def test_folding_in_parts_and_folding_at_once_agree(history: list[Change], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(history)))
    parts = fold(history[:cut])
    for later in history[cut:]:
        key = later.event.key
        parts[key] = with_change(parts.get(key) or Folded(key), later)

    assert parts == fold(history)


def arrival_counts(known: Change | None, later: Change) -> Change:
    return later


def first_counts(known: Change | None, later: Change) -> Change:
    return known or later


@pytest.mark.parametrize("mutant", [arrival_counts, first_counts])
def test_a_fold_that_goes_by_arrival_would_be_noticed(mutant: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_newer", mutant)
    orders: list[Sequence[Change]] = list(itertools.permutations([change("a", 1), change("a", 2), change("a", 3)]))

    winners = {newest_version(fold(order)["a"]) for order in orders}

    assert winners != {3}


class Copy:
    """One key's copy and its parked events, as the writer keeps them in the database."""

    def __init__(self) -> None:
        self.newest = 0
        self.parked: dict[int, int] = {}  # offset -> version

    def take(self, batch: Sequence[Change | Poison]) -> None:
        settled = settle(batch, {"a": self.newest})
        self.newest = settled.newest["a"]
        self.parked = {offset: version for offset, version in self.parked.items() if version > self.newest}
        for each in settled.waiting:
            self.parked.setdefault(each.poison.offset, each.version)


@st.composite
def poisoned_lives(draw: st.DrawFn) -> list[list[Change | Poison]]:
    """One key's states, deletions and poison, shuffled, some of them twice, and cut into batches."""
    kinds = draw(st.lists(st.sampled_from(["state", "deletion", "poison"]), min_size=1, max_size=7))
    events: list[Change | Poison] = [
        poison("a", version) if kind == "poison" else change("a", version, deletes=kind == "deletion")
        for version, kind in enumerate(kinds, start=1)
    ]
    again = draw(st.lists(st.sampled_from(events), max_size=5))
    order = draw(st.permutations([*events, *again]))
    ends = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    return [order[start:end] for start, end in itertools.pairwise([0, *ends, len(order)])]


@given(poisoned_lives())
def test_in_any_order_the_newest_fitting_version_is_held_and_only_newer_poison_waits(
    batches: list[list[Change | Poison]],
) -> None:
    copy = Copy()
    for batch in batches:
        copy.take(batch)

    events = [item for batch in batches for item in batch]
    newest = max((item.event.aggregate_version for item in events if isinstance(item, Change)), default=0)
    poisons = {item.offset for item in events if isinstance(item, Poison)}
    assert copy.newest == newest
    assert copy.parked == {version: version for version in poisons if version > newest}


def test_poison_does_not_block_other_events() -> None:
    settled = settle([change("a", 1), poison("a", 2), change("b", 1), change("a", 3)], {})

    assert settled.newest == {"a": 3, "b": 1}
    assert settled.waiting == ()
    assert [(each.key, each.offset) for each in settled.superseded] == [("a", 2)]


def test_a_deletion_supersedes_only_older_poison() -> None:
    settled = settle([poison("a", 1), poison("a", 3), change("a", 2, deletes=True)], {})

    assert [(each.poison.offset, each.version) for each in settled.waiting] == [(3, 3)]


def test_poison_that_is_older_than_the_copy_does_not_wait() -> None:
    assert settle([poison("a", 3)], {"a": 4}).waiting == ()
    assert settle([poison("a", 4)], {"a": 4}).waiting == ()
    assert len(settle([poison("a", 5)], {"a": 4}).waiting) == 1


def test_poison_with_an_unreadable_version_waits_until_the_copy_has_moved_on() -> None:
    (waiting,) = settle([change("a", 5), poison("a", None), change("a", 3)], {"a": 2}).waiting
    assert waiting.version == 6

    assert settle([change("a", 5), poison("a", None), change("a", 6)], {"a": 2}).waiting == ()


def test_a_version_of_nineteen_digits_is_read() -> None:
    (waiting,) = settle([poison("a", 2**62)], {}).waiting
    assert waiting.version == 2**62
