"""Showing and listing sagas: pages, filters, and the history."""

import asyncio
from typing import Any

import pytest

from tests.support.api_client import Api, slug
from tests.support.scripted_transport import REFUSED, WRONG

NOBODY = "0b8a3c5e-0000-4000-8000-0000000000ff"


async def ids(api: Api, **query: Any) -> list[str]:
    answer = await api.get("/v1/sagas", **query)
    assert answer.status_code == 200, answer.text
    return [saga["id"] for saga in answer.json()["items"]]


async def started(api: Api, count: int) -> list[str]:
    """Ids of sagas that have ended, newest first."""
    return [await ended(api) for _ in range(count)][::-1]


async def ended(api: Api, **body: Any) -> str:
    """The id of a saga that began after every other."""
    await asyncio.sleep(1)
    saga: str = (await api.start(wait="5s", **body)).json()["id"]
    return saga


async def test_sagas_are_listed_newest_first_and_in_pages_without_gap_or_repetition(api: Api) -> None:
    everything = await started(api, 7)
    assert await ids(api) == everything
    pages, after = [], None
    while page := await ids(api, limit=3, **({"after": after} if after else {})):
        pages.append(page)
        after = page[-1]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [saga for page in pages for saga in page] == everything


async def test_sagas_that_began_in_the_same_moment_are_paged_too(api: Api) -> None:
    for _ in range(9):
        await api.start()
    first = await ids(api, limit=5)
    assert len({*first, *await ids(api, after=first[-1])}) == 9


async def test_a_page_after_a_saga_that_is_gone_says_so(api: Api) -> None:
    """An empty page would look like the end of the list."""
    await started(api, 1)
    refused = await api.get("/v1/sagas", after=NOBODY)
    assert slug(refused) == (410, "page-gone")
    assert "begin again" in refused.json()["detail"]


async def test_filters_choose_by_what_a_saga_is_now(api: Api) -> None:
    await api.world.declare("reserve", name="other")
    api.world.transport.answer("action pay", REFUSED, WRONG)
    undone, parked = await ended(api), await ended(api)
    uid = "0b8a3c5e-0000-4000-8000-000000000001"
    born = await ended(api, definition="other", object={"name": "o", "uid": uid})
    assert await ids(api, phase="Compensated") == [undone]
    assert await ids(api, phase="InterventionRequired") == [parked]
    assert await ids(api, definition="other") == [born]
    assert await ids(api, name="o") == [born]
    assert await ids(api, name=parked) == []
    assert await ids(api, source="object") == [born]
    assert await ids(api, source="api") == [parked, undone]
    assert await ids(api, active=True) == [parked]
    assert await ids(api, active=False) == [born, undone]
    assert await ids(api, namespace="elsewhere") == []
    assert await ids(api, phase="Compensated", definition="other") == []


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"phase": "Done"}, "phase"),
        ({"source": "kafka"}, "source"),
        ({"after": "7"}, "after"),
    ],
)
async def test_a_filter_that_cannot_be_is_422_and_named(api: Api, query: dict[str, Any], named: str) -> None:
    refused = await api.get("/v1/sagas", **query)
    assert slug(refused) == (422, "parameter-invalid")
    assert refused.json()["findings"][0].startswith(f"{named}: ")


async def test_a_saga_is_shown_with_its_steps_and_history(api: Api) -> None:
    api.world.transport.answer("action pay", REFUSED)
    saga = (await api.start(wait="5s")).json()["id"]
    shown = (await api.get(f"/v1/sagas/{saga}")).json()
    assert (shown["phase"], shown["reason"], shown["progress"]) == ("Compensated", "Refused", "1/2")
    assert [(step["name"], step["state"]) for step in shown["steps"]] == [("reserve", "Undone"), ("pay", "Failed")]
    events = [entry["event"] for entry in shown["history"]]
    assert events[0] == "SagaAccepted"
    assert events[-1] == "SagaCompensated"
    log = (await api.get(f"/v1/sagas/{saga}/log")).json()["items"]
    assert log == shown["history"]
    assert [entry["version"] for entry in log] == sorted(entry["version"] for entry in log)
    assert {entry["epoch"] for entry in log} == {1}


async def test_a_saga_is_shown_the_same_by_an_engine_that_does_not_run_it(api: Api) -> None:
    api.world.transport.hold("action pay")
    saga = (await api.start(wait="1s")).json()["id"]
    await api.world.engine("two")
    async with Api.of(api.world) as first:
        mine = (await first.get(f"/v1/sagas/{saga}")).json()
    api.world.engines.reverse()
    async with Api.of(api.world) as second:
        theirs = (await second.get(f"/v1/sagas/{saga}")).json()
    assert (mine["id"], mine["phase"]) == (theirs["id"], theirs["phase"])
    api.world.transport.release("action pay")


@pytest.mark.parametrize("path", ["", "/log"])
async def test_a_saga_that_nobody_knows_is_404(api: Api, path: str) -> None:
    refused = await api.get(f"/v1/sagas/{NOBODY}{path}")
    assert slug(refused) == (404, "unknown-saga")
    assert "retention" in refused.json()["detail"]


async def test_an_id_that_is_none_is_422(api: Api) -> None:
    assert slug(await api.get("/v1/sagas/latest")) == (422, "parameter-invalid")


async def test_a_page_that_does_not_exist_is_a_problem_document_too(api: Api) -> None:
    assert slug(await api.get("/v2/sagas")) == (404, "not-found")
    # and is led to no other, least of all to the host that the request names
    assert slug(await api.get("/v1/sagas/")) == (404, "not-found")
    assert slug(await api.client.delete("/v1/sagas")) == (405, "method-not-allowed")


async def test_without_a_journal_looking_is_503(api: Api) -> None:
    with api.world.journal_away():
        refused = await api.get("/v1/sagas")
    assert slug(refused) == (503, "journal-unavailable")
    assert refused.headers["retry-after"] == "1"
