"""A view in, a status out: compared with golden YAML."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kompensa.cluster import status as status_module
from kompensa.cluster.status import bare, essence, saga_conditions, saga_status
from kompensa.model.view import Condition, SagaView, StepView

GOLDEN = Path(__file__).parent / "golden"
CRD = Path(__file__).parents[3] / "charts/kompensa/files/crds/sagas.yaml"


def declined(**changed: Any) -> SagaView:
    document = yaml.safe_load((GOLDEN / "saga-view.yaml").read_text())
    return msgspec.structs.replace(msgspec.convert(document, SagaView), **changed)


def test_a_view_becomes_a_status() -> None:
    assert saga_status(declined(), generation=1) == yaml.safe_load((GOLDEN / "saga-status.yaml").read_text())


def test_the_same_view_gives_the_same_status_after_a_crash() -> None:
    assert saga_status(declined(), 1) == saga_status(declined(), 1)


def test_without_a_generation_none_is_claimed() -> None:
    status = saga_status(declined())
    assert "observedGeneration" not in status
    assert all("observedGeneration" not in condition for condition in status["conditions"])


def test_a_condition_that_never_changed_stands_since_the_start() -> None:
    running = declined(
        phase="Running",
        completion_time=None,
        conditions=(
            Condition(type="Reconciling", status="True", reason="Running", message=""),
            Condition(type="InterventionRequired", status="True", reason="Misconfigured", message=""),
        ),
    )
    times = {condition["type"]: condition["lastTransitionTime"] for condition in saga_conditions(running)}
    assert times == {"Reconciling": "2026-03-01T12:00:00Z", "InterventionRequired": "2026-03-01T12:00:01Z"}


def test_outputs_too_large_for_an_object_are_left_to_the_journal() -> None:
    bulky = StepView(name="big", state="Succeeded", outputs={"text": "x" * 300_000})
    status = saga_status(declined(steps=(bulky,), message=None, result={"text": "y" * 300_000}))
    assert "outputs" not in status["steps"][0]
    assert "result" not in status
    assert "kompensa sagas get" in status["message"]


def test_the_essence_still_tells_how_it_ended() -> None:
    least = essence(saga_status(declined(), 1))
    assert least["phase"] == "Compensated"
    assert least["conditions"]
    assert essence(least) == least


def test_the_bare_status_is_the_phase() -> None:
    assert bare(saga_status(declined(), 1)) == {"observedGeneration": 1, "phase": "Compensated"}


@pytest.mark.parametrize("reason", ["NoÉRoom", "no room", "9Lives", "x" * 257, "Late\n", "Odd-One", ""])
def test_a_reason_that_no_condition_may_bear_is_told_in_the_message(reason: str) -> None:
    step = StepView(name="pay", state="Failed", reason=reason, message="sold out")
    condition = Condition(type="Stalled", status="True", reason=reason, message="sold out")
    status = saga_status(declined(reason=reason, message="sold out", steps=(step,), conditions=(condition,)))
    for shown in (status, status["steps"][0], status["conditions"][0]):
        assert shown["reason"] == "Refused"
        assert shown["message"] == f"{reason}: sold out"


def test_a_message_keeps_within_the_bound_of_its_field() -> None:
    step = StepView(name="pay", state="Failed", reason="Late", message="é" * 40_000)
    status = saga_status(declined(message="é" * 40_000, steps=(step,)))
    assert len(status["message"]) == len(status["steps"][0]["message"]) == 32_768


def test_the_bounds_are_those_of_the_crd() -> None:
    (crd,) = [c for c in yaml.safe_load_all(CRD.read_text()) if c and c["metadata"]["name"] == "sagas.kompensa.dev"]
    status = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    condition = status["conditions"]["items"]["properties"]
    assert condition["reason"]["pattern"] == f"^{status_module._REASON.pattern}$"
    for fields in (status, status["steps"]["items"]["properties"], condition):
        assert fields["reason"]["maxLength"] >= status_module._LONGEST_REASON_CHARACTERS
        assert fields["message"]["maxLength"] >= status_module._LONGEST_TEXT_CHARACTERS
