"""A timeline as text: a table for a terminal, or a sequence diagram in Mermaid's language. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from kompensa.cli.output import columns
from kompensa.cli.saga_text import printable
from kompensa.cli.timeline import ENGINE, Entry, Timeline

_HEADER = ("TIME", "AFTER", "SERVICE", "EVENT", "STEP", "CAUSED BY", "DETAIL")
_ENDS_OF_CALLS = {
    "StepSucceeded": "done",
    "StepFailed": "refused",
    "StepUnknown": "no usable answer",
    "StepNotSent": "not sent",
    "StepCompensated": "undone",
    "CompensationUnknown": "no usable answer",
}
_BEGINS_OF_CALLS = {"StepStarted": "action", "CompensationStarted": "compensation", "StepProbed": "probe"}


def table(found: Timeline) -> str:
    """A head, then one line for each entry, with the milliseconds since the first."""
    first = datetime.fromisoformat(found.entries[0].time) if found.entries else None
    rows = [_row(entry, first) for entry in found.entries]
    return f"{_head(found)}\n\n{columns(_HEADER, rows)}"


def mermaid(found: Timeline, services: Mapping[str, str]) -> str:
    """A sequence diagram.

    Parameters
    ----------
    services
        The service that each step calls, by the step's name. A step that is missing has a line of its own.
    """
    lines = list(_arrows(found, services))
    names = dict.fromkeys(name for line in lines for name in line[0])
    alias = {name: f"p{number}" for number, name in enumerate(names)}
    return "\n".join(
        [
            "sequenceDiagram",
            *(f"    participant {alias[name]} as {_quoted(name)}" for name in names),
            *(f"    {_arrow(line, alias)}" for line in lines),
        ]
    )


def _head(found: Timeline) -> str:
    if not found.definition:
        return f"Saga {found.saga}, placed by events: no engine coordinates it"
    name = f"{found.namespace}/{found.name}" if found.name else found.namespace
    return f"Saga {found.saga} ({name}), {found.definition}: {found.phase}"


def _row(entry: Entry, first: datetime | None) -> list[str]:
    after = datetime.fromisoformat(entry.time) - first if first else None
    milliseconds = f"{after.total_seconds() * 1000:.0f} ms" if after is not None else ""
    step = f"{entry.step} ({entry.attempt})" if entry.step and entry.attempt else entry.step or ""
    words = (entry.service, entry.event, step, entry.caused_by or "", _detail(entry))
    return [entry.time, milliseconds, *(printable(word) for word in words)]


def _detail(entry: Entry) -> str:
    if not entry.record:
        return entry.detail or ""
    version = f" version {entry.record.aggregate_version}" if entry.record.aggregate_version else ""
    place = f"{entry.record.topic}/{entry.record.partition}@{entry.record.offset}"
    return f"{entry.record.key}{version}, in {place} after {entry.record.delay_ms} ms"


_Line = tuple[tuple[str, ...], str, str]
"""The lifelines that it touches, how it is drawn, and its text."""


def _arrows(found: Timeline, services: Mapping[str, str]) -> Iterator[_Line]:
    publishers = {entry.event: entry.service for entry in found.entries if entry.record}
    for entry in found.entries:
        called = services.get(entry.step, entry.step) if entry.step else ""
        attempt = f" {entry.attempt}" if entry.attempt else ""
        if entry.record and entry.caused_by in publishers:
            cause = str(entry.caused_by)
            yield (publishers[cause], entry.service), "-)", cause
            yield (entry.service,), "note", entry.event
        elif entry.record:
            yield (entry.service,), "note", entry.event
        elif called and entry.event in _BEGINS_OF_CALLS:
            yield (ENGINE, called), "->>", f"{entry.step} {_BEGINS_OF_CALLS[entry.event]}{attempt}"
        elif called and entry.event in _ENDS_OF_CALLS:
            why = f": {entry.detail}" if entry.detail else ""
            yield (called, ENGINE), "-->>", f"{entry.step} {_ENDS_OF_CALLS[entry.event]}{why}"
        else:
            yield (ENGINE,), "note", f"{entry.event}{f': {entry.detail}' if entry.detail else ''}"


def _arrow(line: _Line, alias: Mapping[str, str]) -> str:
    names, form, text = line
    if form == "note":
        return f"Note over {alias[names[0]]}: {_quoted(text)}"
    return f"{alias[names[0]]}{form}{alias[names[1]]}: {_quoted(text)}"


def _quoted(text: str) -> str:
    """Text that Mermaid shows as it is: its own signs are written as character codes."""
    return "".join(f"#{ord(sign)};" if sign in "#;<>&" else sign for sign in printable(text))
