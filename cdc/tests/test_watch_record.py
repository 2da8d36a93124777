"""Every record is shown, even if its content is broken."""

import json
from io import StringIO

import pytest
from rich.console import Console

from kompensa_cdc.watch import WatchedRecord, record_json, record_pretty
from kompensa_consumer import time_of


def record(value: str | None) -> WatchedRecord:
    return WatchedRecord(topic="t", partition=0, offset=7, time=None, key="k", headers={}, value=value, lag=0)


def printed(shown: WatchedRecord) -> str:
    console = Console(file=StringIO(), width=10_000, record=True)
    console.print(record_pretty(shown))
    text = console.export_text()
    text.encode()
    return text


@pytest.mark.parametrize(
    "value",
    [
        '{"a":' + "[" * 2000 + "]" * 2000 + "}",
        '{"a":' + "9" * 5000 + "}",
        '{"a":"\\ud800"}',
        "{",
    ],
)
def test_a_value_that_cannot_be_formatted_is_printed_as_it_is(value: str) -> None:
    assert json.loads(record_json(record(value)))["body"] == value
    assert value in printed(record(value))


@pytest.mark.parametrize("nested", [300, 900, 960])
def test_a_deeply_nested_value_is_printed(nested: int) -> None:
    value = '{"a":' + "[" * nested + "]" * nested + "}"
    assert "[" * 10 in record_json(record(value))
    assert "[" in printed(record(value))


def test_a_time_outside_of_the_calendar_is_none() -> None:
    assert time_of(2**62) is None
    assert json.loads(record_json(record("{}")))["time"] is None
    assert "7  no time  lag 0" in printed(record("{}"))
