"""Many sagas, one commit.

The writer starts at once when it is idle. While a write is in flight, the next batch gathers. There is no timer and no
fixed size, so one saga alone does not wait and a thousand share each fsync.

If the journal does not answer a write, the same batch is written again until it does; the statements are idempotent by
version. The queue behind it is bounded by the number of sagas that the engine takes.

If another session has locked a saga's row, only that saga waits: its write is set aside and tried again now and then,
and all others go on. That keeps the order of each saga's writes, because a saga has one write here at a time: its
driver waits for the answer before it decides what comes next.

One GroupCommit serves one lease. When the lease is lost, every write that waits or still comes fails with
StaleLeaseError: nothing decided under an old epoch can be written under a newer one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, TypeAlias

import structlog

from kompensa.journal.errors import (
    JournalUnavailableError,
    RejectedError,
    SagasLockedError,
    StaleLeaseError,
    SupersededError,
)
from kompensa.journal.records import Acceptance, Transition
from kompensa_common.backoff import Backoff

_log = structlog.get_logger(__name__)

Write: TypeAlias = Acceptance | Transition
_Waiting: TypeAlias = tuple[Write, asyncio.Future[bool]]

# A batch this large takes PostgreSQL a few milliseconds; a larger one would make the first in it wait for the last.
MAX_BATCH = 512
_RETRY = Backoff(first=0.1, longest=2.0)
_LOCKED_RETRY_SECONDS = 0.5


class BatchWriter(Protocol):
    """Writes a batch under one lease in one transaction."""

    async def write(self, batch: Sequence[Write], *, repeated: bool) -> frozenset[str]:
        """Write the batch and return the ids of the writes that did *not* happen.

        An acceptance is not written if its id or idempotency key exists. A transition is not written if the journal has
        this or a later version, if the saga has ended, or if its shard does not belong to this lease.

        `repeated` says that an earlier try of these writes may have been committed without an answer, or met a locked
        saga.

        Raises
        ------
        StaleLeaseError, JournalUnavailableError, RejectedError
        SagasLockedError
            Names sagas of the batch, of which nothing was written.
        """
        ...


class CommitObserver(Protocol):
    """Hears of each commit, for metrics and readiness."""

    def committed(self, size: int, seconds: float) -> None: ...

    def unavailable(self, error: JournalUnavailableError, attempt: int) -> None: ...


@dataclass
class _Batch:
    """`repeated`: see `BatchWriter.write`."""

    entries: list[_Waiting]
    repeated: bool = False

    def part(self, entries: list[_Waiting]) -> _Batch:
        return _Batch(entries, self.repeated)


class GroupCommit:
    """The one writer of a lease."""

    def __init__(self, writer: BatchWriter, observer: CommitObserver) -> None:
        self._writer = writer
        self._observer = observer
        self._waiting: deque[_Waiting] = deque()
        self._locked: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self._locked_task: asyncio.Task[None] | None = None
        self._ended: StaleLeaseError | None = None

    async def submit(self, write: Write) -> bool:
        """Return once the write is durable: False for an acceptance whose id or key exists already.

        Raises
        ------
        StaleLeaseError
            The lease is lost; the write did not and will not happen.
        RejectedError
            PostgreSQL rejects what this write contains.
        SupersededError
            The journal has a later version of the saga, or its shard is another engine's.
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
        """Wait until every submitted write is answered."""
        while tasks := [task for task in (self._task, self._locked_task) if task is not None]:
            await asyncio.wait(tasks)

    def end(self, reason: StaleLeaseError) -> None:
        """Reject every write that waits and every write that comes."""
        self._ended = reason
        _fail([*self._waiting, *self._locked], reason)
        self._waiting.clear()
        self._locked.clear()

    async def _drain(self) -> None:
        try:
            while self._waiting:
                size = min(MAX_BATCH, len(self._waiting))
                await self._write(_Batch([self._waiting.popleft() for _ in range(size)]))
        finally:
            self._task = None

    async def _write(self, batch: _Batch) -> None:
        try:
            missing = await self._until_answered(batch)
        except StaleLeaseError as error:
            _fail(batch.entries, error)
            self.end(error)
        except RejectedError as error:
            # One poisonous write must not take its neighbours with it: halve until it stands alone.
            if len(batch.entries) == 1:
                _fail(batch.entries, error)
            else:
                middle = len(batch.entries) // 2
                await self._write(batch.part(batch.entries[:middle]))
                await self._write(batch.part(batch.entries[middle:]))
        except SagasLockedError as error:
            self._set_aside([entry for entry in batch.entries if _saga(entry) in error.sagas])
            if free := [entry for entry in batch.entries if _saga(entry) not in error.sagas]:
                await self._write(batch.part(free))
        except Exception as error:
            # A fault in this program. The waiting drivers must get the error, or they would wait forever.
            _fail(batch.entries, error)
        else:
            for write, answer in batch.entries:
                _answer(write, answer, missing)

    def _set_aside(self, entries: list[_Waiting]) -> None:
        self._locked += entries
        if self._locked_task is None:
            _log.warning(
                "sagas wait: another session of the database has locked their rows", sagas=sorted(map(_saga, entries))
            )
            self._locked_task = asyncio.create_task(self._retry_locked(), name="locked-sagas")

    async def _retry_locked(self) -> None:
        try:
            while self._locked:
                await asyncio.sleep(_LOCKED_RETRY_SECONDS)
                entries, self._locked = self._locked, []
                await self._write(_Batch(entries, repeated=True))
        finally:
            self._locked_task = None

    async def _until_answered(self, batch: _Batch) -> frozenset[str]:
        writes = [write for write, _ in batch.entries]
        attempt = 0
        while True:
            if self._ended is not None:
                raise self._ended
            started = perf_counter()
            try:
                missing = await self._writer.write(writes, repeated=batch.repeated)
            except JournalUnavailableError as error:
                attempt += 1
                batch.repeated = True
                self._observer.unavailable(error, attempt)
                await asyncio.sleep(_RETRY.pause(attempt))
            else:
                self._observer.committed(len(writes), perf_counter() - started)
                return missing


def _saga(entry: _Waiting) -> str:
    write, _ = entry
    return write.row.id if isinstance(write, Acceptance) else write.id


def _answer(write: Write, answer: asyncio.Future[bool], missing: frozenset[str]) -> None:
    if answer.done():
        return
    if isinstance(write, Acceptance):
        answer.set_result(write.row.id not in missing)
    elif write.id in missing:
        answer.set_exception(SupersededError(f"saga {write.id} is not ours in the journal below {write.version}"))
    else:
        answer.set_result(True)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)
