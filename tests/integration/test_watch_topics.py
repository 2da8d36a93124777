"""Watching topics as a person does: from the end, from the beginning, the last few, one key; and clear refusals."""

import json

import pytest
from rich.console import Console

from kompensa_cdc.watch import (
    Beginning,
    Last,
    Latest,
    Start,
    WatchedRecord,
    WatchError,
    follow,
    record_json,
    record_pretty,
    topic_names,
)

from .copies import CREATED, DELETED, UPDATED, Change, Topics

QUIET = 40  # half seconds


def watched(topics: Topics, count: int, *, start: Start, key: str | None = None) -> list[WatchedRecord]:
    """The first `count` records that a watcher sees; fails when they do not come."""
    seen: list[WatchedRecord] = []
    following = follow(topics.bootstrap, names(topics), start=start, key=key)
    try:
        for turn, record in enumerate(following):
            if record is not None:
                seen.append(record)
            if len(seen) == count:
                return seen
            assert turn < QUIET + count, f"only {seen}"
    finally:
        following.close()
    raise AssertionError("the watcher ended by itself")


def names(topics: Topics) -> list[str]:
    return [f"{topics.prefix}.{kind}" for kind in (CREATED, UPDATED, DELETED)]


def test_from_the_beginning_everything_is_shown_with_headers_body_and_lag(topics: Topics) -> None:
    topics.send([Change(key="a", version=1, type=CREATED), Change(key="a", version=2, type=DELETED, payload=None)])
    first, second = sorted(
        watched(topics, 2, start=Beginning()), key=lambda record: record.headers["aggregate-version"] or ""
    )

    assert (first.topic, first.key, first.headers["aggregate-version"]) == (f"{topics.prefix}.{CREATED}", "a", "1")
    assert json.loads(record_json(first))["body"]["email"] == "v1@example.com"
    assert first.lag == 0
    assert second.value is None
    assert json.loads(record_json(second))["body"] is None


def test_only_new_records_are_shown_by_default(topics: Topics) -> None:
    topics.send([Change(key="old", version=1)])
    following = follow(topics.bootstrap, names(topics), start=Latest())
    assert next(following) is None  # it is in place, and the old record was not shown
    topics.send([Change(key="new", version=1)])
    seen = next(record for record in following if record is not None)
    following.close()

    assert seen.key == "new"


def test_the_last_few_are_the_newest_of_all_partitions(topics: Topics) -> None:
    topics.send([Change(key=f"k{number}", version=1) for number in range(30)])
    topics.send([Change(key="last", version=1, type=CREATED), Change(key="last", version=2)])

    assert {record.key for record in watched(topics, 2, start=Last(2))} == {"last"}


def test_one_key_can_be_followed(topics: Topics) -> None:
    topics.send([Change(key=key, version=version) for version in (1, 2) for key in ("a", "b", "c")])
    seen = watched(topics, 2, start=Beginning(), key="b")

    assert [(record.key, record.headers["aggregate-version"]) for record in seen] == [("b", "1"), ("b", "2")]


def test_a_record_that_cannot_be_formatted_is_shown_and_so_is_the_next(topics: Topics) -> None:
    nested = b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}"
    topics.send_raw(Change(key="a", version=1), nested)
    topics.send([Change(key="a", version=2)])
    first, second = watched(topics, 2, start=Beginning())

    assert json.loads(record_json(first))["body"] == nested.decode()
    assert json.loads(record_json(second))["body"]["email"] == "v2@example.com"


def test_the_pretty_form_shows_place_key_headers_and_body(topics: Topics) -> None:
    topics.send([Change(key="a", version=1)])
    (record,) = watched(topics, 1, start=Beginning())
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(record_pretty(record))
    text = console.export_text()

    for part in (
        f"{topics.prefix}.{UPDATED}",
        f"{record.partition}@0",
        "lag 0",
        "key a",
        "aggregate-version 1",
        "Street 1",
    ):
        assert part in text


def test_an_unknown_topic_is_refused_with_the_names_that_come_near(topics: Topics) -> None:
    with pytest.raises(WatchError, match=f"did you mean .*{topics.prefix}.{CREATED}"):
        next(follow(topics.bootstrap, [f"{topics.prefix}.customer-create"]))
    assert f"{topics.prefix}.{CREATED}" in topic_names(topics.bootstrap)
    assert f"{topics.prefix}.customer-create" not in topic_names(topics.bootstrap)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no address at all"])
def test_a_broker_that_does_not_answer_is_named(address: str) -> None:
    with pytest.raises(WatchError, match=f"Kafka at {address} does not answer"):
        next(follow(address, ["orders.customer-created"]))
