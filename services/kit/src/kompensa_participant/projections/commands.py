"""`python3 -m <service> projections`: list the projections, and rebuild one while the service serves.

A rebuild makes and drops tables, so DATABASE_URL must have the login that migrates.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection

from kompensa_eventstore import EventStoreError
from kompensa_eventstore.projections import Progress, Status, rebuild, status
from kompensa_participant.projections.declaration import Projected
from kompensa_participant.settings import SettingsError

BAR_WIDTH = 30
REPORT_SECONDS = 0.2

Connect = Callable[[], Awaitable[AsyncConnection[Any]]]


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb `projections` to a service's command."""
    parser = verbs.add_parser("projections", help="list the projections, or rebuild one from the first event")
    actions = parser.add_subparsers(dest="action", required=True, metavar="list | rebuild")
    output = argparse.ArgumentParser(add_help=False)
    output.add_argument("-o", "--output", choices=["text", "json"], default="text", help="the form of the output")
    actions.add_parser("list", parents=[output], help="position, lag and failure of each projection")
    rebuilding = actions.add_parser(
        "rebuild",
        parents=[output],
        help="fill new tables from the first event and exchange them; a stopped rebuild goes on where it was",
    )
    rebuilding.add_argument("projection")
    rebuilding.add_argument(
        "--fresh", action="store_true", help="begin again: needed if the handlers changed since a stopped rebuild"
    )


def run(chosen: argparse.Namespace, projections: Sequence[Projected], connect: Connect, *, schema: str) -> None:
    """Run the chosen action.

    Raises
    ------
    SettingsError
        If it cannot be done; the text says why.
    """
    try:
        if chosen.action == "list":
            asyncio.run(_list(projections, connect, schema=schema, as_json=chosen.output == "json"))
        else:
            asyncio.run(_rebuild(chosen, projections, connect, schema=schema))
    except psycopg.errors.UndefinedTable:
        raise SettingsError(f"schema {schema} has no table projections: run migrate") from None
    except psycopg.errors.InsufficientPrivilege as error:
        detail = str(error).splitlines()[0]
        raise SettingsError(f"{detail}; run this with the login that migrates, which owns the tables") from None
    except (psycopg.Error, EventStoreError, TimeoutError) as error:
        raise SettingsError(f"projections {chosen.action}: {str(error).strip().splitlines()[0]}") from None


async def _list(projections: Sequence[Projected], connect: Connect, *, schema: str, as_json: bool) -> None:
    async with await connect() as connection:
        found = [await status(connection, projection, feed, schema=schema) for projection, feed in projections]
    if as_json:
        print(json.dumps([_document(each) for each in found], indent=2))
        return
    for each in found:
        failure = f"  stopped: {each.failure.message}" if each.failure else ""
        print(f"{each.name:<24} events {each.events:>10}  behind {each.behind:>6}  {each.lag_seconds:.1f} s{failure}")


def _document(found: Status) -> dict[str, Any]:
    failure = found.failure
    return {
        "name": found.name,
        "position": str(found.position),
        "events": found.events,
        "behind": found.behind,
        "lagSeconds": round(found.lag_seconds, 3),
        "failure": failure
        and {
            "message": failure.message,
            "eventId": failure.event_id and str(failure.event_id),
            "stream": failure.stream,
            "version": failure.version,
            "type": failure.type,
            "schemaVersion": failure.schema_version,
        },
    }


async def _rebuild(
    chosen: argparse.Namespace, projections: Sequence[Projected], connect: Connect, *, schema: str
) -> None:
    projection, feed = _named(projections, chosen.projection)
    show = _Show(projection.name, as_json=chosen.output == "json")
    done = await rebuild(
        projection,
        feed,
        connect,
        schema=schema,
        fresh=chosen.fresh,
        report=show.progress,
    )
    show.end(done)


def _named(projections: Sequence[Projected], name: str) -> Projected:
    found = next((projected for projected in projections if projected.projection.name == name), None)
    if found is None:
        known = ", ".join(projection.name for projection, _ in projections)
        raise SettingsError(f"there is no projection {name!r} (expected one of {known})")
    return found


class _Show:
    """Prints the progress of a rebuild: a bar for a person, or a JSON document in each line."""

    def __init__(self, name: str, *, as_json: bool) -> None:
        self._name = name
        self._as_json = as_json
        self._last = 0.0
        self._begin = time.monotonic()

    def progress(self, progress: Progress) -> None:
        """Print, but not more often than a person can read."""
        now = time.monotonic()
        if now - self._last < REPORT_SECONDS and progress.done < progress.total:
            return
        self._last = now
        if self._as_json:
            self._print_json(
                done=progress.done,
                total=progress.total,
                perSecond=round(progress.per_second),
                secondsLeft=round(progress.seconds_left, 1),
            )
        elif sys.stderr.isatty():
            print(f"\r{bar(progress)}", end="", file=sys.stderr, flush=True)
        else:
            print(bar(progress), file=sys.stderr, flush=True)

    def end(self, done: int) -> None:
        seconds = time.monotonic() - self._begin
        if self._as_json:
            self._print_json(done=done, swapped=True, seconds=round(seconds, 1))
            return
        if sys.stderr.isatty():
            print(file=sys.stderr)
        print(f"{self._name} was rebuilt: {done:,} events in {seconds:.1f} s, and its new tables serve")

    def _print_json(self, **fields: Any) -> None:
        print(json.dumps({"projection": self._name, **fields}), flush=True)


def bar(progress: Progress) -> str:
    """One line of a fixed form, for example `[#####-----]  50 %  1,000 of 2,000 events  500/s  2 s left`."""
    part = progress.done / progress.total if progress.total else 1.0
    full = int(part * BAR_WIDTH)
    return (
        f"[{'#' * full}{'-' * (BAR_WIDTH - full)}] {part:>4.0%}  {progress.done:,} of {progress.total:,} events"
        f"  {progress.per_second:,.0f}/s  {progress.seconds_left:.0f} s left   "
    )
