"""The errors in the description of every endpoint."""

from __future__ import annotations

from typing import Any

from kompensa_common.problems import MEDIA_TYPE

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
