"""Which saga, trace and caller a request's logs and events are of."""

from __future__ import annotations

from uuid import UUID

import pytest

from kompensa_participant import context

KEYS, HEADERS = UUID(int=1), UUID(int=2)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("headers", "saga_id"),
    [
        ({}, None),
        ({"saga-id": str(HEADERS)}, HEADERS),
        ({"saga-id": str(HEADERS), "idempotency-key": f"{KEYS}/pay/action"}, KEYS),
        ({"idempotency-key": f"{KEYS}/pay/action"}, KEYS),
        ({"saga-id": str(HEADERS), "idempotency-key": "cart-123"}, HEADERS),
        ({"saga-id": "nonsense"}, None),
    ],
)
def test_the_saga_is_the_keys_where_there_is_one(headers: dict[str, str], saga_id: UUID | None) -> None:
    assert context.enter(headers).saga_id == saga_id


def test_a_trace_of_the_w3c_form_is_kept() -> None:
    entered = context.enter({"traceparent": TRACE})
    assert (entered.traceparent, entered.trace_id) == (TRACE, "4bf92f3577b34da6a3ce929d0e0e4736")


@pytest.mark.parametrize(
    "trace",
    [
        "x" * 60_000,
        TRACE.upper(),
        TRACE + "\n",
        TRACE + "-00",
        TRACE.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_a_trace_of_another_form_is_dropped(trace: str) -> None:
    entered = context.enter({"traceparent": trace})
    assert (entered.traceparent, entered.trace_id) == (None, None)


def test_a_request_has_no_caller_until_its_token_is_checked() -> None:
    assert context.enter({"saga-id": str(HEADERS)}).caller is None
    context.identify("engine")
    assert (context.current().caller, context.current().saga_id) == ("engine", HEADERS)
    assert context.enter({}).caller is None
