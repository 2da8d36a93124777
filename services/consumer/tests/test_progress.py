"""The state that a worker shows: whether it is alive and ready, its lag, and its problems."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from kompensa_consumer.offsets import Advance, Claim, Partition
from kompensa_consumer.progress import HUNG_SECONDS, Progress

FIRST: Partition = ("orders.customer-created", 0)
SECOND: Partition = ("orders.customer-created", 1)


@pytest.fixture
def progress() -> Progress:
    """A worker that reads two partitions, of which the first is at 10 after 4 records and the second at 20 after 8."""
    made = Progress("shop/customers")
    made.reading = True
    made.assign({FIRST: Claim(next_offset=10, epoch=1, applied=4), SECOND: Claim(next_offset=20, epoch=1, applied=8)})
    return made


def move(partition: Partition, start: int, next_offset: int) -> Advance:
    topic, number = partition
    records = next_offset - start
    return Advance(topic=topic, partition=number, start=start, next_offset=next_offset, epoch=1, records=records)


def test_a_worker_that_polls_is_alive_and_one_that_stopped_is_hung(progress: Progress) -> None:
    assert progress.alive
    progress.polled_at = time.monotonic() - HUNG_SECONDS - 1
    assert not progress.alive


def test_a_worker_that_does_not_read_yet_cannot_hang_and_is_not_ready() -> None:
    starting = Progress("shop/customers")
    starting.polled_at = time.monotonic() - HUNG_SECONDS - 1

    assert starting.alive
    assert not starting.ready


def test_a_problem_is_news_once_and_keeps_the_worker_from_being_ready_until_it_is_cleared(progress: Progress) -> None:
    assert progress.ready
    assert progress.report_problem("database", "it is down")
    assert not progress.report_problem("database", "it is down")
    assert progress.report_problem("kafka", "it is down too")
    progress.clear_problem("database")
    assert not progress.ready
    progress.clear_problem("kafka")
    assert progress.ready
    assert progress.last_error == "it is down too"


def test_a_note_is_shown_and_stops_nothing(progress: Progress) -> None:
    progress.note("a key is parked")

    assert progress.ready
    assert progress.last_error == "a key is parked"


def test_the_lag_is_the_sum_over_the_partitions(progress: Progress) -> None:
    assert progress.lag_records is None
    progress.ends({FIRST: 13})
    assert progress.lag_records is None
    progress.ends({FIRST: 13, SECOND: 22})
    assert progress.lag_records == 5
    progress.moved([move(FIRST, 10, 12)])
    assert progress.lag_records == 3
    assert progress.applied_records == 14


def test_a_partition_whose_end_is_not_known_now_keeps_its_last_one(progress: Progress) -> None:
    progress.ends({FIRST: 13, SECOND: 22})
    progress.ends({FIRST: 14})

    assert {name: each.end_offset for name, each in progress.partitions.items()} == {FIRST: 14, SECOND: 22}


def test_an_end_from_before_the_last_move_does_not_make_the_lag_negative(progress: Progress) -> None:
    progress.ends({FIRST: 5, SECOND: 22})

    assert progress.lag_records == 2


def test_a_copy_that_is_up_to_date_is_not_late_even_if_its_last_event_is_old(progress: Progress) -> None:
    progress.last_event_time = datetime.now(UTC) - timedelta(days=1)
    progress.ends({FIRST: 10, SECOND: 20})
    assert progress.lag_seconds == 0.0
    progress.ends({FIRST: 11})
    assert progress.lag_seconds is not None
    assert progress.lag_seconds >= timedelta(days=1).total_seconds()


def test_the_age_of_an_event_is_not_known_before_the_first_and_never_negative(progress: Progress) -> None:
    progress.ends({FIRST: 11, SECOND: 20})
    assert progress.lag_seconds is None
    progress.last_event_time = datetime.now(UTC) + timedelta(days=1)
    assert progress.lag_seconds == 0.0


def test_partitions_stay_known_after_a_session_without_counting_as_up_to_date(progress: Progress) -> None:
    progress.ends({FIRST: 13, SECOND: 20})
    progress.release()
    assert progress.lag_records == 3
    progress.ends({FIRST: 10, SECOND: 20})
    assert not progress.is_up_to_date


def test_a_move_of_a_revoked_partition_is_ignored(progress: Progress) -> None:
    progress.revoke([FIRST])
    progress.moved([move(FIRST, 10, 11), move(SECOND, 20, 21)])

    assert {name: each.next_offset for name, each in progress.partitions.items()} == {SECOND: 21}


@pytest.mark.parametrize(
    ("stored", "rewound"),
    [
        ({FIRST: 10, SECOND: 20}, False),
        ({FIRST: 11, SECOND: 25}, False),
        ({FIRST: 10, SECOND: 0}, True),
        ({FIRST: 10}, True),
    ],
    ids=["as we left it", "moved on by another", "set back", "forgotten"],
)
def test_a_rewind_shows_as_having_written_more_than_is_stored(
    progress: Progress, stored: dict[Partition, int], rewound: bool
) -> None:
    assert progress.is_ahead_of(stored) is rewound


def test_the_status_document_has_every_field(progress: Progress) -> None:
    progress.ends({FIRST: 13})
    progress.report_problem("kafka", "it is down")
    progress.last_applied_time = datetime(2026, 1, 31, 14, 0, 0, 500_000, tzinfo=timezone(timedelta(hours=2)))

    assert progress.as_json() == {
        "ready": False,
        "lagRecords": None,
        "lagSeconds": None,
        "appliedRecords": 12,
        "problems": ["it is down"],
        "lastError": "it is down",
        "lastAppliedTime": "2026-01-31T12:00:00.500Z",
        "partitions": [
            {"topic": FIRST[0], "partition": 0, "nextOffset": 10, "endOffset": 13, "lag": 3},
            {"topic": SECOND[0], "partition": 1, "nextOffset": 20, "endOffset": None, "lag": None},
        ],
    }
