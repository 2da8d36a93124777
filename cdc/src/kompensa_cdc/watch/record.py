"""One record of a topic as a person sees it, and its two printed forms. Pure.

The user may be looking for an error, so every record is shown: a value that cannot be formatted is printed as it is.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from rich.console import Group, RenderableType
from rich.json import JSON
from rich.text import Text


@dataclass(frozen=True, kw_only=True)
class WatchedRecord:
    """A record with its place, and the number of newer records in its partition (`lag`, 0 for the newest).

    `time` is None if the record's time is outside of the calendar.
    """

    topic: str
    partition: int
    offset: int
    time: datetime | None
    key: str | None
    headers: dict[str, str | None]
    value: str | None
    lag: int

    @property
    def body(self) -> object:
        """The value as JSON, or as text if it is not JSON that can be shown; None for a tombstone."""
        if self.value is None:
            return None
        try:
            body = json.loads(self.value)
            msgspec.json.encode(body)  # half a surrogate pair can be read, but not written
        except (ValueError, RecursionError):
            return self.value
        return body


def record_json(record: WatchedRecord) -> str:
    """One line of JSON, for `-o json` and the programs that read it."""
    return msgspec.json.encode(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "time": _instant(record.time),
            "key": record.key,
            "headers": record.headers,
            "body": record.body,
            "lag": record.lag,
        }
    ).decode()


def record_pretty(record: WatchedRecord) -> RenderableType:
    """Two lines with the place, the key and the headers, then the body, for a terminal."""
    where = Text.assemble(
        (record.topic, "bold"),
        (f" {record.partition}@{record.offset}  {_instant(record.time) or 'no time'}  ", "dim"),
        (f"lag {record.lag}", "yellow" if record.lag else "dim"),
        "\n",
        ("key ", "dim"),
        (record.key if record.key is not None else "none", "cyan"),
    )
    for name, value in record.headers.items():
        if value is not None:
            where.append(f"  {name} ", style="dim").append(value)
    return Group(where, _body(record), Text())


def _body(record: WatchedRecord) -> RenderableType:
    if record.value is None:
        return Text("tombstone", style="red")
    body = record.body
    if isinstance(body, str):
        return Text(body)
    try:
        return JSON.from_data(body)
    except RecursionError:  # formatting, in Python, takes more stack than reading did
        return Text(record.value)


def _instant(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
