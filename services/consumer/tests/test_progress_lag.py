"""Lag is shown only if it is known, and stays known after a session."""

from datetime import UTC, datetime, timedelta

from kompensa_consumer.offsets import Claim, Partition
from kompensa_consumer.progress import Progress

HERE: Partition = ("orders.customer-created", 0)
THERE: Partition = ("orders.customer-created", 1)


def reading(*partitions: Partition, next_offset: int = 0) -> Progress:
    progress = Progress("shop/customers")
    progress.reading = True
    progress.assign({partition: Claim(next_offset=next_offset, epoch=1) for partition in partitions})
    return progress


def test_lag_is_unknown_until_the_end_of_each_topic_is_known() -> None:
    progress = reading(HERE, THERE)
    assert (progress.as_json()["lagRecords"], progress.as_json()["lagSeconds"]) == (None, None)
    progress.ends({HERE: 5})
    assert progress.lag_records is None
    progress.ends({THERE: 0})
    assert progress.lag_records == 5
    assert not progress.is_up_to_date


def test_before_the_first_applied_event_the_age_of_waiting_events_is_unknown() -> None:
    progress = reading(HERE)
    progress.ends({HERE: 5})
    assert progress.lag_seconds is None
    progress.last_event_time = datetime.now(UTC) - timedelta(seconds=60)
    assert progress.lag_seconds is not None
    assert 60 <= progress.lag_seconds < 90


def test_partitions_and_lag_stay_known_between_two_sessions() -> None:
    progress = reading(HERE, next_offset=2)
    progress.ends({HERE: 2})
    assert progress.is_up_to_date
    progress.release()
    progress.revoke([HERE])  # the client's farewell to its group
    assert progress.lag_records == 0
    assert not progress.is_up_to_date
    assert not progress.is_ahead_of({})

    progress.assign({HERE: Claim(next_offset=1, epoch=2)})
    assert progress.lag_records == 1
    assert progress.is_ahead_of({})


def test_partitions_that_another_worker_took_over_are_dropped() -> None:
    progress = reading(HERE, THERE)
    progress.release()
    progress.assign({THERE: Claim(next_offset=0, epoch=2)})
    assert set(progress.partitions) == {THERE}
    progress.revoke([THERE])
    assert not progress.partitions
