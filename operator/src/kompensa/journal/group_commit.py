"""Many sagas, one commit.

The writer starts at once when it is idle, and while a write is in flight the next batch gathers: no timer and no
fixed size, so one saga alone pays no wait and a thousand share each fsync. A write that the journal did not answer is
repeated until it does (the statements are idempotent by version), with the batch unchanged; what waits behind it is
bounded by the number of sagas the engine lets in.

One GroupCommit serves one lease. When that is lost, everything that waits, and everything that still comes from code
that has not noticed, fails with StaleLeaseError: nothing decided under an old epoch can be written under a newer one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol, TypeAlias

from kompensa.journal.errors import JournalUnavailableError, RejectedError, StaleLeaseError, SupersededError
from kompensa.journal.records import Acceptance, Transition

Write: TypeAlias = Acceptance | Transition

# A batch this large takes PostgreSQL a few milliseconds; a larger one would make the first in it wait for the last.
MAX_BATCH = 512
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class BatchWriter(Protocol):
    """Writes a batch under one lease in one transaction."""

    async def write(self, batch: Sequence[Write], *, repeated: bool) -> frozenset[str]:
        """Return the ids of what was *not* written: acceptances whose id or idempotency key exists, and transitions
        of sagas that are not in the journal at an earlier version, unended and in a shard of this lease.

        `repeated` says that an earlier try of this very batch may have been committed without our hearing of it.

        Raises
        ------
        StaleLeaseError, JournalUnavailableError, RejectedError
        """
        ...


class CommitObserver(Protocol):
    """Told of each commit, for metrics and readiness."""

    def committed(self, size: int, seconds: float) -> None: ...

    def unavailable(self, error: JournalUnavailableError, attempt: int) -> None: ...


class GroupCommit:
    """The one writer of a lease."""

    def __init__(self, writer: BatchWriter, observer: CommitObserver) -> None:
        self._writer = writer
        self._observer = observer
        self._waiting: deque[tuple[Write, asyncio.Future[bool]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._ended: StaleLeaseError | None = None

    async def submit(self, write: Write) -> bool:
        """Return once the write is durable: False for an acceptance whose id or key exists already.

        Raises
        ------
        StaleLeaseError
            The lease is lost; the write did not and will not happen.
        RejectedError
            PostgreSQL refuses this write for what it contains.
        SupersededError
            The journal has moved on without whoever decided this.
        """
        if self._ended is not None:
            raise self._ended
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, answer))
        if self._task is None:
            # The task begins with the next turn of the loop, so all that became ready in this turn go together.
            self._task = asyncio.create_task(self._drain(), name="group-commit")
        return await answer

    async def flush(self) -> None:
        """Wait until nothing waits."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def end(self, reason: StaleLeaseError) -> None:
        """Refuse everything that waits and everything that comes."""
        self._ended = reason
        while self._waiting:
            _, answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(reason)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                size = min(MAX_BATCH, len(self._waiting))
                await self._write([self._waiting.popleft() for _ in range(size)])
        finally:
            self._task = None

    async def _write(self, batch: list[tuple[Write, asyncio.Future[bool]]]) -> None:
        try:
            missing = await self._until_answered([write for write, _ in batch])
        except StaleLeaseError as error:
            _fail(batch, error)
            self.end(error)
        except RejectedError as error:
            # One poisonous write must not take its neighbours with it: halve until it stands alone.
            if len(batch) == 1:
                _fail(batch, error)
            else:
                middle = len(batch) // 2
                await self._write(batch[:middle])
                await self._write(batch[middle:])
        except Exception as error:
            # A fault of ours: whoever waits must hear of it, or would wait for ever.
            _fail(batch, error)
        else:
            for write, answer in batch:
                _answer(write, answer, missing)

    async def _until_answered(self, writes: list[Write]) -> frozenset[str]:
        attempt = 0
        while True:
            if self._ended is not None:
                raise self._ended
            started = perf_counter()
            try:
                missing = await self._writer.write(writes, repeated=attempt > 0)
            except JournalUnavailableError as error:
                attempt += 1
                self._observer.unavailable(error, attempt)
                await asyncio.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempt, 10)))
            else:
                self._observer.committed(len(writes), perf_counter() - started)
                return missing


def _answer(write: Write, answer: asyncio.Future[bool], missing: frozenset[str]) -> None:
    if answer.done():
        return
    if isinstance(write, Acceptance):
        answer.set_result(write.row.id not in missing)
    elif write.id in missing:
        answer.set_exception(SupersededError(f"saga {write.id} is not ours in the journal below {write.version}"))
    else:
        answer.set_result(True)


def _fail(batch: list[tuple[Write, asyncio.Future[bool]]], error: Exception) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)
