"""The OpenAPI document: valid, complete, and true (each test of the API compares its responses, see `Api`)."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from kompensa.api.problems import STATUS_OF
from kompensa_common.problems import NAMESPACE
from tests.support.api_client import Api
from tests.support.openapi import Contract, faults

OF_NO_ROUTE = {"not-found", "method-not-allowed"}


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get("/openapi.json")).json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


async def test_the_document_follows_the_specification(document: dict[str, Any]) -> None:
    assert faults(document) == []


async def test_a_document_that_breaks_the_specification_is_found(document: dict[str, Any]) -> None:
    document["paths"]["/readyz"]["get"]["responses"]["soon"] = {"description": "Not a status"}
    assert len(faults(document)) == 1


async def test_every_schema_exists_and_is_used(document: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named == document["components"]["schemas"].keys()


async def test_every_parameter_of_a_path_is_declared(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        declared = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path)), f"{method} {path}"


async def test_every_operation_has_a_summary_and_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(operation["summary"] for _, _, operation in operations(document))


async def test_every_problem_is_documented_at_a_route_with_its_status(document: dict[str, Any]) -> None:
    found = set()
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            for slug in re.findall(rf"{NAMESPACE}([a-z-]+)", json.dumps(response)):
                found.add(slug)
                assert STATUS_OF[slug] == int(status), slug
    assert found == STATUS_OF.keys() - OF_NO_ROUTE


async def test_every_route_needs_the_token_and_may_fail(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if path.startswith("/v1"):
            assert {"401", "500"} <= operation["responses"].keys(), f"{method} {path}"


CONTRACT = Contract(
    {
        "paths": {
            "/things/{id}": {
                "get": {
                    "responses": {
                        "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                        "204": {},
                    }
                }
            }
        },
        "components": {"schemas": {"Thing": {"type": "object", "required": ["id"]}}},
    }
)


@pytest.mark.parametrize(
    ("status", "content", "media_type", "said"),
    [
        (200, b'{"id": 1}', "application/json", None),
        (204, b"", "", None),
        (404, b"{}", "application/json", "404 is not in the document"),
        (200, b"{}", "application/json", '"id" is a required property'),
        (200, b"thing", "text/plain", "is text/plain"),
    ],
)
def test_a_response_that_the_document_does_not_promise_is_found(
    status: int, content: bytes, media_type: str, said: str | None
) -> None:
    request = httpx.Request("GET", "http://engine/things/1")
    response = httpx.Response(status, content=content, headers={"content-type": media_type}, request=request)
    broken = CONTRACT.broken_by(response)
    assert (broken is None) if said is None else (said in (broken or ""))
