"""SagaDefinition objects: the message of a rejected one, and the definitions that a participant concerns."""

from typing import Any

import pytest

from kompensa.client.engine_client import EngineProblemError
from kompensa.handlers.definitions import Definitions, lint_message
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import WorkQueue
from tests.support.fake_engine_client import FakeEngineClient
from tests.support.fake_kube import FakeKube, metadata_of


def definitions(kube: FakeKube, engine: FakeEngineClient) -> Definitions:
    return Definitions(kube, engine, on_ready=lambda _namespace, _name: None)  # type: ignore[arg-type]


def calling(participant: str) -> dict[str, Any]:
    step = {"name": "pay", "kind": "Retriable", "participantRef": {"name": participant}}
    return {"steps": [{**step, "action": {"http": {"method": "POST", "path": "/payments"}}}]}


def watched(name: str, spec: dict[str, Any]) -> WatchedObject:
    return WatchedObject({"metadata": metadata_of(name), "spec": spec})


def test_each_finding_is_a_line_of_the_message() -> None:
    members = {
        "findings": [
            "step pay: Participant payments does not exist in this namespace",
            "step ship: a Compensatable step needs a compensation",
        ]
    }
    problem = EngineProblemError(422, "definition-invalid", "2 findings", members)
    assert lint_message(problem).splitlines() == members["findings"]


def test_a_problem_without_findings_still_has_a_message() -> None:
    problem = EngineProblemError(422, "spec-invalid", "steps: expected a list", {})
    assert lint_message(problem) == "steps: expected a list"


async def test_only_the_definitions_that_call_a_changed_participant_are_checked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handler = definitions(FakeKube(), FakeEngineClient())
    for name, participant in (("order", "payments"), ("parcel", "shipping")):
        found = watched(name, calling(participant))
        await handler.offer(found)
        await handler._work(found, 1)
    woken: list[str] = []
    monkeypatch.setattr(WorkQueue, "wake", lambda _queue, key: woken.append(key))
    handler.participant_changed("shop", "payments")
    handler.participant_changed("crm", "shipping")
    assert woken == ["shop/order"]


async def test_a_definition_that_cannot_be_read_keeps_its_last_revision() -> None:
    kube, engine = FakeKube(), FakeEngineClient()
    broken = watched("order", {"steps": []})
    broken.raw["status"] = {"revision": "revision-0"}
    await definitions(kube, engine)._work(broken, 1)
    assert (kube.reasons(), engine.definitions_put) == (["LintFailed"], [])
    assert kube.statuses[0]["revision"] == "revision-0"
