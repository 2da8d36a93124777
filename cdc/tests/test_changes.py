"""A copy's row depends on the set of its key's events only: not on order, not on repetition, not on batches."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompensa_cdc.events import Event, Poison
from kompensa_cdc.replicas import changes
from kompensa_cdc.replicas.changes import Change, Folded, fold, plan, with_change

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
        headers={"aggregate-version": str(version)},
        occurred_at=START,
    )
    return Change(event, None if deletes else (f"{key}-{version}",))


def poison(key: str, version: int) -> Poison:
    headers: dict[str, str | None] = {"aggregate-version": str(version)}
    return Poison(
        topic="orders.customer", partition=0, offset=version, key=key, headers=headers, value="{", error="broken"
    )


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
def test_folding_in_parts_gives_what_folding_at_once_gives(history: list[Change], data: st.DataObject) -> None:
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


def test_a_poison_holds_back_what_follows_for_its_key_and_nothing_else() -> None:
    made = plan([change("a", 1), poison("a", 2), change("b", 1), change("a", 3)], held={})

    assert [(each.key, each.state and each.state.event.aggregate_version) for each in made.folded] == [
        ("a", 1),
        ("b", 1),
    ]
    assert [(each.key, each.offset) for each in made.parked] == [("a", 2), ("a", 3)]
    assert made.parked[1].error == "held: an earlier event of this key is parked"
    assert made.parked[1].value == '{"email":"a-3"}'


def test_a_key_parked_earlier_stays_parked() -> None:
    made = plan([change("a", 5), change("b", 5)], held={"a": 4})

    assert [each.key for each in made.folded] == ["b"]
    assert [each.key for each in made.parked] == ["a"]


def test_what_came_before_the_poison_is_still_applied_when_it_arrives_late() -> None:
    made = plan([change("a", 3)], held={"a": 4})

    assert [each.key for each in made.folded] == ["a"]
    assert made.parked == ()


def test_a_poison_whose_version_nobody_can_read_holds_everything_of_its_key() -> None:
    unreadable = Poison(topic="t", partition=0, offset=9, key="a", headers={}, value=None, error="no version")

    made = plan([unreadable, change("a", 1)], held={})

    assert made.folded == ()
    assert len(made.parked) == 2
