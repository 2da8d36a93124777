"""The engine's OpenAPI document, held against the OpenAPI specification and against what the API really answers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs

SPECIFICATION = Path(__file__).with_name("openapi-3.1.schema.json")
"""The JSON Schema of OpenAPI 3.1, as published at https://spec.openapis.org/oas/3.1/schema/2022-10-07."""
Json = dict[str, Any]


def faults(document: Json) -> list[str]:
    """The places in the document that break the specification."""
    specification = jsonschema_rs.Draft202012Validator(json.loads(SPECIFICATION.read_text()))
    return [f"{error.instance_path}: {error.message}" for error in specification.iter_errors(document)]


@dataclass(frozen=True)
class Contract:
    """A document, as a promise about responses."""

    document: Json

    def broken_by(self, response: httpx.Response) -> str | None:
        """How the response differs from the document, or None. Paths that the document does not have are ignored."""
        request = response.request
        operation = self._operation(request.method.lower(), request.url.path)
        if operation is None:
            return None
        described = operation["responses"].get(str(response.status_code))
        place = f"{request.method} {request.url.path}: {response.status_code}"
        if described is None:
            return f"{place} is not in the document, which has {', '.join(operation['responses'])}"
        content = described.get("content", {})
        media_type = response.headers.get("content-type", "").partition(";")[0]
        if not response.content and not content:
            return None
        if media_type not in content:
            return f"{place} is {media_type}, and the document has {', '.join(content) or 'no body'}"
        return self._misfit(place, content[media_type].get("schema", {}), response)

    def _misfit(self, place: str, schema: Json, response: httpx.Response) -> str | None:
        if not response.headers["content-type"].partition(";")[0].endswith("json"):
            return None
        whole = {**schema, "components": self.document["components"]}
        error = next(jsonschema_rs.Draft202012Validator(whole).iter_errors(response.json()), None)
        return None if error is None else f"{place}: {error.instance_path}: {error.message}"

    def _operation(self, method: str, path: str) -> Json | None:
        """The operation of the path with the fewest parameters, as the router chooses."""
        fitting = [item for pattern, item in self._paths if pattern.fullmatch(path)]
        return next((item[method] for item in fitting if method in item), None)

    @cached_property
    def _paths(self) -> list[tuple[re.Pattern[str], Json]]:
        ordered = sorted(self.document["paths"].items(), key=lambda entry: str(entry[0]).count("{"))
        return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), item) for path, item in ordered]
