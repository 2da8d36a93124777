"""A request of a saga's step, as the transport is given it."""

from __future__ import annotations

from kompensa.model.http_call import HttpMessage
from kompensa.model.outcomes import Direction
from kompensa.model.requests import Request

SAGA = "0b8a3c5e-0000-4000-8000-000000000001"


def paying(
    method: str = "POST",
    *,
    attempt: int = 1,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 5.0,
    only: bool = False,
) -> Request:
    """An attempt at the action of the step `pay`."""
    return Request(
        step="pay",
        direction=Direction.ACTION,
        attempt=attempt,
        key=f"{SAGA}/pay/action",
        message=HttpMessage(method=method, path="/payments", headers=headers or {}, body=body),
        timeout=timeout,
        only=only,
    )
