"""Which revisions a service's code can work with."""

from __future__ import annotations

import pytest

from kompensa_participant.migrations import is_behind, revisions
from tests.support.services import SERVICES

KNOWN = ("0001", "0002", "0003")


@pytest.mark.parametrize(
    ("found", "behind"), [(None, True), ("0001", True), ("0002", True), ("0003", False), ("0004", False)]
)
def test_a_schema_is_behind_when_the_code_knows_a_later_revision(found: str | None, behind: bool) -> None:
    assert is_behind(found, KNOWN) is behind


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_ships_its_revisions(service: str) -> None:
    assert revisions(service)[0] == "0001"


def test_a_service_without_a_package_is_told_so() -> None:
    with pytest.raises(LookupError, match="no package nowhere"):
        revisions("nowhere")
