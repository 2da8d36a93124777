"""A saga's view as text. Pure: the JSON of the API in, lines out.

It includes text from participants. A character that is not printable is written as its escape (`\\x1b`, `\\n`):
a terminal would interpret it, and a table would lose its lines.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kompensa.cli.output import columns

View = Mapping[str, Any]
_HEADER = ("NAMESPACE", "NAME", "ID", "DEFINITION", "PHASE", "STEP", "PROGRESS", "REASON", "AGE")


def table(sagas: Sequence[View], *, now: datetime) -> str:
    """One line a saga, newest as the API sent them."""
    if not sagas:
        return "No sagas found."
    return columns(_HEADER, [_row(saga, now) for saga in sagas])


def description(saga: View, log: Sequence[View]) -> str:
    """A saga in full: what it is, its steps with their times, what came of it, and its history."""
    parts = [_head(saga), _steps(saga)]
    if result := saga.get("result"):
        parts.append(
            "Result:\n" + "\n".join(f"  {printable(name)}: {printable(value)}" for name, value in result.items())
        )
    if log:
        parts.append("History:\n" + indented(columns(("TIME", "EVENT", "STEP", "DETAIL"), [_entry(e) for e in log])))
    return "\n\n".join(parts)


def one_line(saga: View) -> str:
    """The line that `watch` prints on every change."""
    words = [str(saga.get("phase", "")), str(saga.get("progress", "")), str(saga.get("step") or "")]
    return "  ".join(word for word in (*words, _why(saga)) if word)


def age(since: str, now: datetime) -> str:
    """Time since, as kubectl shows it: 8s, 5m, 3h, 2d."""
    seconds = max(0, int((now - datetime.fromisoformat(since)).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size or (unit == "d" and seconds >= size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def utc_now() -> datetime:
    return datetime.now(UTC)


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _row(saga: View, now: datetime) -> list[str]:
    words = ("namespace", "name", "id", "definition", "phase", "step", "progress", "reason")
    return [*(printable(saga.get(word) or "") for word in words), age(str(saga["startTime"]), now)]


def _head(saga: View) -> str:
    lines = [
        ("Saga", f"{saga.get('namespace')}/{saga.get('name') or saga.get('id')}"),
        ("ID", saga.get("id")),
        ("Definition", f"{saga.get('definition')}, revision {saga.get('revision')}"),
        ("Phase", f"{saga.get('phase')}  {saga.get('progress', '')}"),
        ("Reason", _why(saga)),
        ("Started", saga.get("startTime")),
        ("Ended", saga.get("completionTime")),
    ]
    return "\n".join(f"{name + ':':<12}{value}" for name, value in lines if value)


def _steps(saga: View) -> str:
    header = ("STEP", "STATE", "ATTEMPTS", "TOOK", "COMPENSATION", "MESSAGE")
    return "Steps:\n" + indented(columns(header, [_step(step) for step in saga.get("steps") or []]))


def _step(step: View) -> list[str]:
    undo = step.get("compensation") or {}
    undone = f"{undo['state']}, {undo.get('attempts', 0)} attempts" if undo else ""
    words = [str(step.get("name")), str(step.get("state")), str(step.get("attempts") or ""), _took(step)]
    return [*words, undone, printable(step.get("message") or "")]


def _took(step: View) -> str:
    start, end = step.get("startTime"), step.get("endTime")
    if not start or not end:
        return ""
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _entry(entry: View) -> list[str]:
    attempt = f"attempt {entry['attempt']}" if entry.get("attempt") else ""
    words = [str(entry.get(key) or "") for key in ("at", "event", "step")]
    return [*words, "  ".join(word for word in (attempt, _why(entry)) if word)]


def _why(view: View) -> str:
    """Reason and message of a saga, or of an entry of its history."""
    return ": ".join(printable(view[key]) for key in ("reason", "message") if view.get(key))


def printable(value: object) -> str:
    text = str(value)
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
