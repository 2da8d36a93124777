"""JSON over HTTP for tests and load, with the error bodies kept: a problem's text is often what is asserted."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any


class UnexpectedAnswer(AssertionError):
    """An answer that is not 2xx where one was needed."""


@dataclass(frozen=True)
class Answer:
    """Status and decoded body; `body` is the raw text where it is not JSON."""

    status: int
    body: Any
    headers: dict[str, str]

    def ok(self) -> Any:
        if not 200 <= self.status < 300:
            raise UnexpectedAnswer(f"expected 2xx, got {self.status}: {self.body}")
        return self.body


def call(
    method: str, url: str, body: Any = None, *, headers: dict[str, str] | None = None, timeout: float = 10
) -> Answer:
    """One request. HTTP errors are answers; only a missing connection raises (OSError)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json", **(headers or {})}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return _answer(reply.status, reply.read(), dict(reply.headers))
    except urllib.error.HTTPError as error:
        return _answer(error.code, error.read(), dict(error.headers))


def _answer(status: int, raw: bytes, headers: dict[str, str]) -> Answer:
    text = raw.decode()
    try:
        return Answer(status, json.loads(text) if text else None, headers)
    except ValueError:
        return Answer(status, text, headers)
