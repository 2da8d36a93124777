"""Cancel, suspend, resume, and the object that is gone."""

from typing import Any

import pytest

from tests.support.api_client import Api, slug

NOBODY = "0b8a3c5e-0000-4000-8000-0000000000ff"


async def running(api: Api, **body: Any) -> str:
    """A saga that is held in its first step."""
    api.world.transport.hold("action reserve")
    saga: str = (await api.start(**body)).json()["id"]
    await api.world.until_called("action reserve")
    return saga


async def test_a_request_is_202_and_has_its_effect(api: Api) -> None:
    saga = await running(api)
    assert (await api.post(f"/v1/sagas/{saga}/suspend")).status_code == 202
    await api.world.until_phase(saga, "Suspended")
    api.world.transport.release("action reserve")
    assert (await api.post(f"/v1/sagas/{saga}/resume", {})).status_code == 202
    await api.world.until_phase(saga, "Succeeded")


async def test_a_cancellation_is_shown_with_its_reason(api: Api) -> None:
    saga = await running(api)
    await api.post(f"/v1/sagas/{saga}/cancel", {"reason": "asked by the customer"})
    await api.world.until_noted(saga, "CancelAsked")
    api.world.transport.release("action reserve")
    await api.world.until_phase(saga, "Compensated")
    assert (await api.get(f"/v1/sagas/{saga}")).json()["message"] == "asked by the customer"


async def test_the_objects_deletion_settles_its_saga(api: Api) -> None:
    uid = "0b8a3c5e-0000-4000-8000-000000000001"
    saga = await running(api, object={"name": "order-1", "uid": uid})
    assert (await api.post(f"/v1/sagas/{saga}/object-deleted")).status_code == 202
    await api.world.until_noted(saga, "ObjectDeleted")
    api.world.transport.release("action reserve")
    await api.world.until_phase(saga, "Compensated")


@pytest.mark.parametrize("what", ["cancel", "suspend", "resume"])
async def test_a_saga_that_has_ended_is_409(api: Api, what: str) -> None:
    saga = (await api.start(wait="5s")).json()["id"]
    refused = await api.post(f"/v1/sagas/{saga}/{what}")
    assert slug(refused) == (409, "saga-ended")
    assert "has ended as Succeeded" in refused.json()["detail"]


@pytest.mark.parametrize("what", ["cancel", "suspend", "resume", "object-deleted"])
async def test_a_saga_that_nobody_knows_is_404(api: Api, what: str) -> None:
    assert slug(await api.post(f"/v1/sagas/{NOBODY}/{what}")) == (404, "unknown-saga")


async def test_something_else_cannot_be_asked(api: Api) -> None:
    saga = await running(api)
    assert slug(await api.post(f"/v1/sagas/{saga}/explode")) == (422, "parameter-invalid")
    api.world.transport.release("action reserve")


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("cancel", {"why": "x"}, "why"),
        ("cancel", {"generation": 2**70}, "$.generation"),
        ("cancel", {"generation": -1}, "$.generation"),
        ("cancel", {"reason": "x" * 10_000}, "$.reason"),
        ("object-deleted", {"deletionPolicy": "Forget"}, "$.deletionPolicy"),
    ],
)
async def test_a_request_that_cannot_be_read_is_422_and_names_the_field(
    api: Api, path: str, body: dict[str, Any], named: str
) -> None:
    saga = await running(api)
    refused = await api.post(f"/v1/sagas/{saga}/{path}", body)
    assert slug(refused) == (422, "body-invalid")
    assert named in refused.json()["detail"]
    api.world.transport.release("action reserve")
