"""The requests of a Saga object to the engine."""

from typing import Any

import pytest

from kompensa.cluster.resources import Object
from kompensa.cluster.status import saga_status
from kompensa.handlers.saga_request import Controls, controls, mirror_status, overdue, start_request
from kompensa.handlers.watched_object import WatchedObject
from kompensa.model.parsing import parse_saga
from kompensa.model.specs import SagaSpec
from kompensa.model.view import Condition, SagaView
from tests.support.fake_kube import metadata_of

WATCHED = WatchedObject({"metadata": metadata_of("order-1", uid="u", generation=2)})


def spec(**fields: Any) -> SagaSpec:
    return parse_saga({"definitionRef": {"name": "create-order"}, "input": {"customerId": "c"}, **fields})


def request_for(**fields: Any) -> Object:
    return start_request(WATCHED, spec(**fields))


def test_the_sagas_id_is_the_objects_uid_so_that_asking_again_starts_nothing() -> None:
    request = request_for()
    assert request["id"] == "u"
    assert request["object"] == {"name": "order-1", "uid": "u", "generation": 2}
    assert request["definition"] == "create-order"
    assert request["deletionPolicy"] == "Compensate"
    assert "idempotencyKey" not in request


def test_the_whole_spec_is_passed_on() -> None:
    request = request_for(idempotencyKey="cart-1", suspend=True, deletionPolicy="Orphan", ttlSecondsAfterFinished=0)
    assert request["input"] == {"customerId": "c"}
    assert request["idempotencyKey"] == "cart-1"
    assert request["suspend"] is True
    assert request["deletionPolicy"] == "Orphan"
    assert request["ttlSecondsAfterFinished"] == 0


@pytest.mark.parametrize(
    ("asked", "phase", "asks"),
    [
        (Controls(), "Running", []),
        (Controls(cancel=True), "Running", ["cancel"]),
        (Controls(cancel=True), "Suspended", ["cancel"]),
        (Controls(cancel=True), "Compensating", []),
        (Controls(suspend=True), "Running", ["suspend"]),
        (Controls(suspend=True), "Suspended", []),
        (Controls(), "Suspended", ["resume"]),
        (Controls(cancel=True, suspend=True), "Succeeded", []),
    ],
)
def test_a_change_made_while_the_operator_was_away_is_passed_on(asked: Controls, phase: str, asks: list[str]) -> None:
    assert overdue(asked, phase) == asks


@pytest.mark.parametrize("asked", [{"suspend": True}, {"cancel": True}])
@pytest.mark.parametrize(("name", "shown"), [("order-1", "shop/order-1"), ("", "shop/run-1")])
def test_an_object_that_would_control_another_objects_run_names_that_object(
    asked: dict[str, bool], name: str, shown: str
) -> None:
    status = mirror_status(2, spec(**asked), run(name))
    assert shown in status["message"]
    assert status["conditions"][0]["message"] == f"at work; {status['message']}"


def test_another_objects_run_is_shown_as_it_is() -> None:
    assert mirror_status(2, spec(), run("order-1")) == saga_status(run("order-1"), 2)


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
    assert controls(WATCHED, spec()) == Controls(suspend=False, cancel=False)


@pytest.mark.parametrize(("policy", "undone"), [("Compensate", True), ("Orphan", False)])
def test_an_object_that_waits_for_its_finalizers_asks_to_be_undone_unless_it_is_to_be_orphaned(
    policy: str, undone: bool
) -> None:
    being_deleted = WatchedObject({"metadata": metadata_of("order-1", deletionTimestamp="2026-03-01T12:00:00Z")})
    assert controls(being_deleted, spec(deletionPolicy=policy)) == Controls(cancel=undone)
