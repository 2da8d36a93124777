"""A chaos run judges only its own orders, and nothing that was wrong before the first kill."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos import run as chaos
from tests.support.ledgers import MONEY, PLACEMENTS

OURS = {"namespace": "shop", "definition": "create-order"}


class FakeCluster:
    """An engine that lists these sagas, and a shop whose tables are empty, except its placements."""

    namespace = "shop"

    def __init__(self, *sagas: dict[str, Any], placements: Sequence[str] = ()) -> None:
        self.placements = [{"saga_id": f"placement-{n}", "status": status} for n, status in enumerate(placements)]
        self.sagas = [{"id": f"saga-{n}", "phase": "Succeeded", **saga} for n, saga in enumerate(sagas)]
        self.databases = SimpleNamespace(rows=self._rows)

    def api(self, method: str, path: str) -> Any:
        assert (method, path) == ("GET", f"/v1/sagas?limit={chaos.PAGE}")
        return SimpleNamespace(ok=lambda: {"items": self.sagas})

    def _rows(self, _service: str, query: str) -> list[dict[str, Any]]:
        if query == PLACEMENTS:
            return self.placements
        return [{"captured": "0", "refunded": "0"}] if query == MONEY else []


def begin(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> chaos.Result:
    monkeypatch.setattr(chaos, "QUIET_BEFORE_SECONDS", 0.0)
    return chaos.run(cluster, [], seconds=0, rate=1, pause=0, seed=1, say=lambda _line: None)


class LoadBegan(Exception):
    """The run went past its first look."""


@pytest.mark.parametrize("other", [{**OURS, "namespace": "shop-2"}, {**OURS, "definition": "check-stock"}])
def test_sagas_of_other_shops_and_definitions_owe_this_shop_nothing(
    other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def began(_cluster: Any) -> None:
        raise LoadBegan

    monkeypatch.setattr(chaos, "set_the_scenes", began)
    with pytest.raises(LoadBegan):
        begin(FakeCluster(other, {**other, "phase": "InterventionRequired"}), monkeypatch)


def test_nothing_is_killed_if_an_order_is_broken_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(chaos.BrokenBefore, match="I3 not whole: saga saga-0"):
        begin(FakeCluster(OURS), monkeypatch)


def test_an_order_by_events_is_held_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(chaos.BrokenBefore, match="I3 not whole: saga placement-1"):
        begin(FakeCluster(placements=["failed", "placed"]), monkeypatch)


def test_an_order_by_events_that_has_not_ended_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(chaos.BrokenBefore, match="1 sagas have not ended"):
        begin(FakeCluster(placements=["failed", "undoing"]), monkeypatch)
