"""Sagas as text."""

from datetime import UTC, datetime

import pytest

from kompensa.cli.saga_text import age, description, one_line, table

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SAGA = {
    "id": "0b7d",
    "namespace": "shop",
    "name": "order-1",
    "definition": "create-order",
    "revision": "3f9a1c2b",
    "phase": "Compensated",
    "progress": "1/5",
    "step": "process-payment",
    "reason": "PaymentDeclined",
    "message": "process-payment: 422 insufficient funds",
    "startTime": "2026-01-31T11:59:52.000Z",
    "completionTime": "2026-01-31T11:59:53.500Z",
    "steps": [
        {
            "name": "reserve-inventory",
            "state": "Undone",
            "attempts": 1,
            "startTime": "2026-01-31T11:59:52.000Z",
            "endTime": "2026-01-31T11:59:52.012Z",
            "compensation": {"state": "Undone", "attempts": 2},
        },
        {"name": "process-payment", "state": "Failed", "attempts": 1, "message": "422 insufficient funds"},
    ],
}


def test_a_list_has_a_line_a_saga_under_aligned_headers() -> None:
    lines = table([SAGA], now=NOW).splitlines()
    assert lines[0].split() == ["NAMESPACE", "NAME", "ID", "DEFINITION", "PHASE", "STEP", "PROGRESS", "REASON", "AGE"]
    assert lines[1].split() == ["shop", "order-1", "0b7d", "create-order", "Compensated", "process-payment", "1/5",
                                "PaymentDeclined", "8s"]  # fmt: skip
    assert lines[0].index("PHASE") == lines[1].index("Compensated")


def test_an_empty_list_says_so() -> None:
    assert table([], now=NOW) == "No sagas found."


def test_a_missing_value_keeps_its_column() -> None:
    saga = {**SAGA, "reason": None, "step": None}
    assert table([saga], now=NOW).splitlines()[1].split()[5:8] == ["-", "1/5", "-"]


def test_a_description_tells_steps_durations_and_compensations() -> None:
    text = description(SAGA, [{"at": "2026-01-31T11:59:52.000Z", "event": "Accepted"}])
    assert "Reason:     PaymentDeclined: process-payment: 422 insufficient funds" in text
    assert "12 ms" in text
    assert "Undone, 2 attempts" in text
    assert "Accepted" in text


def test_a_running_saga_has_no_end() -> None:
    running = {key: value for key, value in SAGA.items() if key != "completionTime"}
    assert "Ended" not in description(running, [])


def test_a_change_is_told_in_one_line() -> None:
    assert one_line(SAGA) == (
        "Compensated  1/5  process-payment  PaymentDeclined: process-payment: 422 insufficient funds"
    )
    assert one_line({"phase": "Pending"}) == "Pending"


def test_what_a_terminal_would_obey_is_shown_and_not_sent() -> None:
    evil = "a\x1b[31m\x00\u009b\r\nb é"
    saga = {
        **SAGA,
        "message": evil,
        "result": {"k": evil},
        "steps": [{"name": "pay", "state": "Failed", "message": evil}],
    }
    text = "\n".join([description(saga, [{"event": "StepFailed", "message": evil}]), one_line(saga)])
    assert text.count(r"a\x1b[31m\x00\x9b\r\nb é") == 5
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-01-31T11:59:52Z", "8s"),
        ("2026-01-31T11:58:30Z", "90s"),
        ("2026-01-31T11:30:00Z", "30m"),
        ("2026-01-31T02:00:00Z", "10h"),
        ("2026-01-28T12:00:00Z", "3d"),
        ("2026-01-31T12:00:03Z", "0s"),
    ],
)
def test_ages_read_like_kubectls(since: str, expected: str) -> None:
    assert age(since, NOW) == expected
