"""A runner or a rebuild of the tests' projection in a process of its own, which stops where a test asks it to.

    python3 -m tests.integration.projection_process URL run|rebuild [--stop-in handler|stored|committed] [--at 5]

When it has come to its place, it prints `here` and does no more, so that the test can kill or pause it there.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from kompensa_eventstore import StoredEvent
from kompensa_eventstore.projections import Projection, ProjectionRunner, Rows, rebuild, runner
from kompensa_eventstore.projections import rebuild as rebuilding
from tests.integration.eventstore_desk import SCHEMA, Desk, totals

BATCH = 10


async def stop() -> None:
    print("here", flush=True)
    await asyncio.Event().wait()


class Stopping(Projection):
    """The projection, which stops in its handler or when its rows are stored."""

    def __init__(self, place: str | None, at: int) -> None:
        of_tests = totals()
        super().__init__(of_tests.name, *of_tests.tables, aggregates=of_tests.aggregates)
        self.handlers.update(of_tests.handlers)
        self._place = place
        self._left = at
        paid = self.handlers["PAID"]

        async def counted(rows: Rows, event: StoredEvent) -> None:
            await paid(rows, event)
            await self.passed("handler")

        self.handlers["PAID"] = counted

    async def apply(self, rows: Rows, events: Sequence[StoredEvent]) -> None:
        await super().apply(rows, events)
        await self.passed("stored")

    async def passed(self, place: str) -> None:
        if place == self._place:
            self._left -= 1
            if self._left == 0:
                await stop()


def stopping_after_commit(advance: Callable[..., Awaitable[None]], projection: Stopping) -> Callable[..., Any]:
    async def advanced(*arguments: Any, **options: Any) -> None:
        await advance(*arguments, **options)
        await projection.passed("committed")

    return advanced


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("verb", choices=["run", "rebuild"])
    parser.add_argument("--stop-in", choices=["handler", "stored", "committed"])
    parser.add_argument("--at", type=int, default=1)
    parser.add_argument("--silent-seconds", type=float, default=30.0)
    options = parser.parse_args()
    projection = Stopping(options.stop_in, options.at)
    desk = Desk(options.url)
    for module in (runner, sys.modules[rebuilding.__module__]):
        module.advance = stopping_after_commit(module.advance, projection)  # type: ignore[attr-defined]
    if options.verb == "run":
        silent = options.silent_seconds
        await ProjectionRunner(
            projection, desk.feed, desk.connect, schema=SCHEMA, batch=BATCH, silent_seconds=silent
        ).run()
    else:
        print(await rebuild(projection, desk.feed, desk.connect, schema=SCHEMA, batch=BATCH))


if __name__ == "__main__":
    asyncio.run(main())
