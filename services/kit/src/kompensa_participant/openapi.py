"""Errors of every endpoint in the description of the API, and the token that it needs."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from kompensa_common.problems import MEDIA_TYPE
from kompensa_participant.callers.access import AccessTable

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:kompensa:problem:insufficient-stock"]},
        "title": {"type": "string", "examples": ["Insufficient stock"]},
        "status": {"type": "integer", "examples": [409]},
        "detail": {"type": "string", "examples": ["product 7d0b...: 3 wanted, 1 on hand"]},
        "errors": {
            "type": "array",
            "description": "The fields that are wrong, when the request does not fit (`request-invalid`).",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
PROBLEM_RESPONSE: dict[int | str, dict[str, Any]] = {
    "default": {"description": "A problem (RFC 9457)", "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
}


def describe_tokens(app: FastAPI, table: AccessTable) -> None:
    """Describe which endpoints need a token, so that the page /docs asks for one and sends it."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for route in table.routes:
            method, _, path = route.name.partition(" ")
            operation = document["paths"].get(path, {}).get(method.lower())
            if operation is not None and not route.is_open:
                operation["security"] = [{"token": []}]
        return document

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way to replace its document
