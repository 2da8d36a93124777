"""X1: the engine is killed at every boundary of a saga, one after the other, and its successor ends it right.

Enumerated, not drawn: before and after each durable write, before and after each call, against a real database and a
real participant, whose ledger is the judge.
"""

from typing import Any

import pytest
from msgspec import structs

from kompensa.engine import driver
from kompensa.model.requests import Request
from kompensa_dev.postgres import Login
from tests.integration.crash_world import CrashWorld
from tests.integration.ledger_participant import LedgerParticipant

HOW: dict[str, dict[str, Any]] = {
    "succeeds": {},
    "succeeds beyond return": {"retriable": True},
    "loses a reply": {"lost": "pay"},
    "is refused": {"refused": "ship"},
    "meets a participant that is away": {"down": "ship"},
    "turns back from steps side by side": {"down": "reserve", "side_by_side": True},
}


@pytest.mark.parametrize(
    ("how", "keyed"),
    [(how, True) for how in HOW] + [("succeeds", False), ("loses a reply", False), ("is refused", False)],
)
async def test_a_saga_ends_whole_or_undone_at_any_crash_of_its_engine(
    database: Login, ledger: LedgerParticipant, how: str, keyed: bool
) -> None:
    found = await CrashWorld(journal_url=database.url, ledger=ledger, keyed=keyed, **HOW[how]).crashes()
    assert found.violations == []
    assert found.boundaries.count("before sagas.write") >= 2
    if "side_by_side" not in HOW[how]:  # there the number of boundaries depends on which reply is first
        assert len(found.ends) == len(found.boundaries) + 1, "a boundary was left out"
    assert "InterventionRequired" not in found.ends


async def test_acting_before_the_commit_is_found_by_the_ledger(
    database: Login, ledger: LedgerParticipant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant turns back without a write: a replay gets the stored success of a step that has been undone, and the
    one that was away answers this time."""
    monkeypatch.setattr(driver, "must_commit_first", lambda *_: False)
    found = await CrashWorld(journal_url=database.url, ledger=ledger, down="reserve", side_by_side=True).crashes()
    assert any("I3" in violation for violation in found.violations)


async def test_a_key_that_differs_between_attempts_is_found_by_the_ledger(
    database: Login, ledger: LedgerParticipant
) -> None:
    """The mutant numbers its keys: a call that is repeated after a crash or a lost reply has its effect twice."""

    def numbered(request: Request) -> Request:
        saga, step, direction = request.key.split("/")
        return structs.replace(request, key=f"{saga}/{step}-{request.attempt}/{direction}")

    found = await CrashWorld(journal_url=database.url, ledger=ledger, lost="pay", changed=numbered).crashes()
    assert any("I5" in violation for violation in found.violations)
