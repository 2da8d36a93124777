"""Show the records of topics as they come, with key, headers, body and lag."""

from kompensa_cdc.watch.follow import (
    Beginning,
    Last,
    Latest,
    Start,
    UnknownTopicError,
    WatchError,
    follow,
    topic_counts,
    topic_names,
)
from kompensa_cdc.watch.of_saga import Progress, Span, events_of_saga
from kompensa_cdc.watch.record import WatchedRecord, record_json, record_pretty

__all__ = [
    "Beginning",
    "Last",
    "Latest",
    "Progress",
    "Span",
    "Start",
    "UnknownTopicError",
    "WatchError",
    "WatchedRecord",
    "events_of_saga",
    "follow",
    "record_json",
    "record_pretty",
    "topic_counts",
    "topic_names",
]
