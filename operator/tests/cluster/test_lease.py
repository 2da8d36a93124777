from datetime import UTC, datetime
from typing import Any

import pytest

from kompensa.cluster.lease import DURATION_SECONDS, Sighting, is_free, taken

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def lease(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "operator", "resourceVersion": "7"}, "spec": spec}


@pytest.mark.parametrize("holder", [None, "", "me"])
def test_a_lease_that_is_nobodys_or_mine_is_free(holder: str | None) -> None:
    assert is_free(lease(holderIdentity=holder), "me", Sighting("7", 0.0), now=0.0)


def test_another_holders_lease_is_free_only_after_it_did_not_change_for_its_duration() -> None:
    theirs = lease(holderIdentity="other", leaseDurationSeconds=15)
    assert not is_free(theirs, "me", Sighting("7", 100.0), now=115.0)
    assert is_free(theirs, "me", Sighting("7", 100.0), now=115.1)


def test_their_clock_does_not_matter() -> None:
    theirs = lease(holderIdentity="other", leaseDurationSeconds=15, renewTime="1999-01-01T00:00:00.000000Z")
    assert not is_free(theirs, "me", Sighting("7", 100.0), now=101.0)


def test_taking_over_counts_a_transition_and_renewing_does_not() -> None:
    theirs = lease(holderIdentity="other", leaseTransitions=4, acquireTime="2026-01-01T00:00:00.000000Z")
    mine = taken(theirs, "me", AT)
    again = taken(mine, "me", AT)
    assert mine["spec"]["leaseTransitions"] == again["spec"]["leaseTransitions"] == 5
    assert mine["spec"]["acquireTime"] == again["spec"]["acquireTime"] == "2026-03-01T12:00:00.000000Z"
    assert mine["spec"]["leaseDurationSeconds"] == DURATION_SECONDS


def test_a_lease_is_written_as_a_compare_and_set() -> None:
    assert taken(lease(), "me", AT)["metadata"]["resourceVersion"] == "7"
