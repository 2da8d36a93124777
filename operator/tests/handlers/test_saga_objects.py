"""The requests that a Saga object makes to the engine."""

from typing import Any

import pytest

from kompensa.cluster.status import saga_status
from kompensa.handlers.sagas import controls, is_finished, mirror_status, overdue, start_request
from kompensa.handlers.ttl import FinishedSagas, due_at
from kompensa.handlers.watched_object import WatchedObject
from kompensa.model.view import Condition, SagaView

UID = "0d2ff2c4-0b5f-4f0e-b0fe-0f4c1d8f6c11"


def saga(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None) -> WatchedObject:
    return WatchedObject(
        {
            "metadata": {"name": "order-1", "namespace": "shop", "uid": UID, "generation": 2},
            "spec": {"definitionRef": {"name": "create-order"}, "input": {"customerId": "c"}} | (spec or {}),
            "status": status or {},
        }
    )


def test_the_sagas_id_is_the_objects_uid_so_that_asking_again_starts_nothing() -> None:
    request = start_request(saga())
    assert request["id"] == UID
    assert request["object"] == {"name": "order-1", "uid": UID, "generation": 2}
    assert request["definition"] == "create-order"
    assert request["deletionPolicy"] == "Compensate"
    assert "idempotencyKey" not in request


def test_the_whole_spec_is_passed_on() -> None:
    request = start_request(
        saga({"idempotencyKey": "cart-1", "suspend": True, "deletionPolicy": "Orphan", "ttlSecondsAfterFinished": 0})
    )
    assert request["idempotencyKey"] == "cart-1"
    assert request["suspend"] is True
    assert request["deletionPolicy"] == "Orphan"
    assert request["ttlSecondsAfterFinished"] == 0


@pytest.mark.parametrize(
    ("spec", "phase", "asks"),
    [
        ({}, "Running", []),
        ({"cancel": True}, "Running", ["cancel"]),
        ({"cancel": True}, "Suspended", ["cancel"]),
        ({"cancel": True}, "Compensating", []),
        ({"suspend": True}, "Running", ["suspend"]),
        ({"suspend": True}, "Suspended", []),
        ({}, "Suspended", ["resume"]),
        ({"cancel": True, "suspend": True}, "Succeeded", []),
    ],
)
def test_what_changed_while_the_operator_was_away_is_passed_on(
    spec: dict[str, Any], phase: str, asks: list[str]
) -> None:
    assert overdue(saga(spec), phase) == asks


@pytest.mark.parametrize(
    ("phase", "finished"),
    [("Succeeded", True), ("Compensated", True), ("Terminated", True), ("InterventionRequired", False), (None, False)],
)
def test_a_parked_saga_is_not_finished(phase: str | None, finished: bool) -> None:
    assert is_finished(saga(status={"phase": phase})) is finished


@pytest.mark.parametrize("asked", [{"suspend": True}, {"cancel": True}])
@pytest.mark.parametrize(("name", "shown"), [("order-1", "shop/order-1"), ("", "shop/run-1")])
def test_who_would_hold_or_undo_another_objects_run_is_told_which_one_to_ask(
    asked: dict[str, Any], name: str, shown: str
) -> None:
    status = mirror_status(saga(asked), run(name))
    told = f"shows the run of {shown}; suspend or cancel that one"
    assert status["message"] == told
    assert status["conditions"][0]["message"] == f"at work; {told}"


def test_another_objects_run_is_shown_as_it_is() -> None:
    assert mirror_status(saga(), run("order-1")) == saga_status(run("order-1"), 2)


def run(name: str) -> SagaView:
    return SagaView(
        id="run-1",
        namespace="shop",
        name=name,
        definition="create-order",
        revision="r",
        phase="Running",
        progress="0/2",
        start_time="2026-03-01T12:00:00.000Z",
        conditions=(Condition(type="Ready", status="False", reason="Running", message="at work"),),
    )


def test_controls_default_to_off() -> None:
    assert controls(saga()) == (False, False)


def test_an_object_that_waits_for_its_finalizers_asks_to_be_undone_unless_it_is_to_be_orphaned() -> None:
    for policy, undone in (("Compensate", True), ("Orphan", False)):
        seen = saga({"deletionPolicy": policy})
        seen.raw["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
        assert controls(seen) == (False, undone)


def test_a_ttl_counts_from_completion() -> None:
    status = {"phase": "Succeeded", "completionTime": "2026-03-01T12:00:00Z"}
    assert due_at(saga({"ttlSecondsAfterFinished": 60}, status)) == 1_772_366_460.0
    assert due_at(saga({}, status)) is None
    assert due_at(saga({"ttlSecondsAfterFinished": 60})) is None


class NoKube:
    """Deletions are noted, not sent."""

    def __init__(self) -> None:
        self.deleted: list[tuple[str, str]] = []

    async def delete(self, _: object, namespace: str, name: str, *, uid: str) -> None:
        self.deleted.append((name, uid))


def due_now(finished: FinishedSagas, now: float) -> list[str]:
    names = []
    while (entry := finished._next(now)) is not None:
        names.append(entry[1])
    return names


def test_a_changed_ttl_replaces_the_old_one() -> None:
    status = {"phase": "Succeeded", "completionTime": "2026-03-01T12:00:00Z"}
    finished = FinishedSagas(NoKube())  # type: ignore[arg-type]
    finished.note(saga({"ttlSecondsAfterFinished": 10}, status))
    finished.note(saga({"ttlSecondsAfterFinished": 100}, status))
    assert due_now(finished, 1_772_366_450.0) == []
    assert due_now(finished, 1_772_366_500.0) == ["order-1"]


def test_a_saga_deleted_by_hand_is_forgotten() -> None:
    status = {"phase": "Succeeded", "completionTime": "2026-03-01T12:00:00Z"}
    seen = saga({"ttlSecondsAfterFinished": 10}, status)
    finished = FinishedSagas(NoKube())  # type: ignore[arg-type]
    finished.note(seen)
    finished.note(WatchedObject(seen.raw, deleted=True))
    assert len(finished) == 0
    assert due_now(finished, 1_872_366_450.0) == []
