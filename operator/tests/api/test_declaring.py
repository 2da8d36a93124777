"""Putting, listing and deleting participants and definitions."""

import pytest

from tests.support.api_client import Api, slug
from tests.support.engine_world import definition_spec

BASE = "/v1/namespaces/shop"


async def test_a_definition_is_put_shown_listed_and_deleted(api: Api) -> None:
    put = await api.client.put(f"{BASE}/definitions/new", json={"spec": definition_spec("ship")})
    revision = put.json()["revision"]
    shown = (await api.get(f"{BASE}/definitions/new")).json()
    assert (shown["name"], shown["revision"], shown["spec"]) == ("new", revision, definition_spec("ship"))
    assert [item["name"] for item in (await api.get(f"{BASE}/definitions")).json()["items"]] == ["new", "order"]
    assert (await api.client.delete(f"{BASE}/definitions/new")).status_code == 204
    assert slug(await api.client.delete(f"{BASE}/definitions/new")) == (404, "unknown-definition")
    assert slug(await api.get(f"{BASE}/definitions/new")) == (404, "unknown-definition")


async def test_a_participants_token_is_never_shown(api: Api) -> None:
    body = {"spec": {"url": "http://stub"}, "token": "hush"}
    assert (await api.client.put(f"{BASE}/participants/stub", json=body)).status_code == 204
    assert "hush" not in (await api.get(f"{BASE}/participants")).text
    assert (await api.client.delete(f"{BASE}/participants/stub")).status_code == 204
    assert slug(await api.client.delete(f"{BASE}/participants/stub")) == (404, "unknown-participant")


async def test_a_definition_that_cannot_run_is_422_with_every_finding(api: Api) -> None:
    spec = definition_spec("a", "b")
    spec["steps"][0]["participantRef"]["name"] = "nobody"
    spec["steps"][1]["dependsOn"] = ["b"]
    refused = await api.client.put(f"{BASE}/definitions/broken", json={"spec": spec})
    assert slug(refused) == (422, "definition-invalid")
    assert len(refused.json()["findings"]) == 2


async def test_a_participant_that_cannot_be_read_is_422(api: Api) -> None:
    refused = await api.client.put(f"{BASE}/participants/stub", json={"spec": {"url": "stub:80"}})
    assert slug(refused) == (422, "participant-invalid")
    assert "url" in refused.json()["detail"]


@pytest.mark.parametrize("token", ["hush\n", "hu\r\nsh", " hush", "hu\0sh", ""])
async def test_a_token_that_cannot_be_sent_is_422_and_not_shown(api: Api, token: str) -> None:
    body = {"spec": {"url": "http://stub"}, "token": token}
    refused = await api.client.put(f"{BASE}/participants/stub", json=body)
    assert slug(refused) == (422, "participant-invalid")
    assert refused.json()["detail"].startswith("token: expected one line")
    assert "hu" not in refused.text


@pytest.mark.parametrize("name", ["Order", "a" * 64, "-a", "a%0A"])
async def test_a_name_that_kubernetes_would_refuse_is_422(api: Api, name: str) -> None:
    refused = await api.client.put(f"{BASE}/definitions/{name}", json={"spec": definition_spec("ship")})
    assert slug(refused) == (422, "parameter-invalid")


async def test_an_engine_that_is_not_ready_declares_nothing(api: Api) -> None:
    await api.world.first.stop()
    api.world.engines.clear()
    refused = await api.client.put(f"{BASE}/definitions/new", json={"spec": definition_spec("ship")})
    assert slug(refused) == (503, "not-ready")
