"""docs/concepts/trade-offs.md: a row for each service, which says what the code says."""

import re

import pytest

from kompensa.manifests.documents import load, of_kind
from tests.support.documentation import DOCS, ROOT

PAGE = DOCS / "concepts/trade-offs.md"
ROW = re.compile(r"^\| (\w+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
SERVICES = (ROOT / "services/shop.txt").read_text(encoding="utf-8").split()
ROWS = {row[0]: row for row in ROW.findall(PAGE.read_text(encoding="utf-8")) if row[0] != "service"}
NONE = "–"


def holders_of_copies() -> set[str]:
    replicas = of_kind(load([ROOT / "manifests/shop"]), "Replica")
    return {replica.spec["target"]["table"].partition(".")[0] for replica in replicas}


def publishers() -> set[str]:
    outboxes = of_kind(load([ROOT / "manifests/shop"]), "Outbox")
    return {outbox.spec["table"].partition(".")[0] for outbox in outboxes}


def test_every_service_has_a_row() -> None:
    assert list(ROWS) == SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_the_page_says_which_service_is_event_sourced(service: str) -> None:
    depends = '"kompensa-eventstore"' in (ROOT / f"services/{service}/pyproject.toml").read_text(encoding="utf-8")
    assert ROWS[service][1].startswith("events") is depends


@pytest.mark.parametrize("service", SERVICES)
def test_the_page_says_which_service_holds_copies(service: str) -> None:
    assert (ROWS[service][3] != NONE) is (service in holders_of_copies())


@pytest.mark.parametrize("service", SERVICES)
def test_the_page_says_which_service_publishes_events(service: str) -> None:
    assert (ROWS[service][2] != NONE) is (service in publishers())


@pytest.mark.parametrize("service", SERVICES)
def test_every_choice_has_its_reason(service: str) -> None:
    assert ROWS[service][4] != NONE
