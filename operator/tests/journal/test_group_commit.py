"""Many sagas, one commit: when a batch begins, what is in it, and what happens to it when the journal fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from kompensa.journal.errors import (
    JournalUnavailableError,
    RejectedError,
    SagasLockedError,
    StaleLeaseError,
    SupersededError,
)
from kompensa.journal.group_commit import MAX_BATCH, GroupCommit, Write
from kompensa.journal.records import Acceptance, SagaRow, Transition


def move(saga: str, version: int = 2) -> Transition:
    return Transition(id=saga, version=version, phase="Running", settled=False, state="{}", log="[]")


def acceptance(saga: str) -> Acceptance:
    row = SagaRow(
        id=saga,
        namespace="shop",
        definition="order",
        shard=0,
        version=1,
        phase="Running",
        settled=False,
        created_at=0.0,
        origin="{}",
        state="{}",
    )
    return Acceptance(row, "[]")


def name(write: Write) -> str:
    return write.row.id if isinstance(write, Acceptance) else write.id


@dataclass
class Writer:
    """Writes batches one round trip each; `fails` are raised one after the other before anything is written."""

    poison: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    locked: frozenset[str] = frozenset()
    fails: list[Exception] = field(default_factory=list)
    batches: list[list[Write]] = field(default_factory=list)
    repeated: list[bool] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def write(self, batch: Sequence[Write], *, repeated: bool) -> frozenset[str]:
        self.batches.append(list(batch))
        self.repeated.append(repeated)
        await asyncio.sleep(0.001)
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise self.fails.pop(0)
        if self.poison & {name(write) for write in batch}:
            raise RejectedError("invalid byte sequence")
        if held := self.locked & {name(write) for write in batch}:
            raise SagasLockedError(held)
        return self.missing & {name(write) for write in batch}

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


@dataclass
class Observer:
    sizes: list[int] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)

    def committed(self, size: int, seconds: float) -> None:
        self.sizes.append(size)

    def unavailable(self, error: JournalUnavailableError, attempt: int) -> None:
        self.attempts.append(attempt)


def commit_to(writer: Writer, observer: Observer | None = None) -> GroupCommit:
    return GroupCommit(writer, observer or Observer())


async def results(commits: GroupCommit, *writes: Write) -> list[bool | BaseException]:
    return await asyncio.gather(*(commits.submit(write) for write in writes), return_exceptions=True)


async def test_a_lone_write_starts_at_once() -> None:
    writer = Writer()
    began = asyncio.get_running_loop().time()
    assert await commit_to(writer).submit(move("a"))
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.001)


async def test_what_becomes_ready_together_is_written_together() -> None:
    writer = Writer()
    assert await results(commit_to(writer), move("a"), move("b"), acceptance("c")) == [True, True, True]
    assert writer.sizes == [3]


async def test_while_a_write_is_under_way_the_next_batch_gathers() -> None:
    writer = Writer(gate=asyncio.Event())
    assert writer.gate is not None
    commits = commit_to(writer)
    first = asyncio.create_task(commits.submit(move("a")))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(commits.submit(move(saga))) for saga in "bcd"]
    await asyncio.sleep(0.01)
    assert writer.sizes == [1]
    writer.gate.set()
    assert await asyncio.gather(first, *others) == [True] * 4
    assert writer.sizes == [1, 3]


async def test_a_batch_is_bounded_and_keeps_the_order() -> None:
    writer = Writer()
    await results(commit_to(writer), *(move(str(number)) for number in range(MAX_BATCH + 10)))
    assert writer.sizes == [MAX_BATCH, 10]
    assert [name(write) for batch in writer.batches for write in batch] == [str(n) for n in range(MAX_BATCH + 10)]


async def test_a_write_without_an_answer_is_repeated_unchanged() -> None:
    writer, observer = Writer(fails=[JournalUnavailableError("gone")] * 3), Observer()
    commits = commit_to(writer, observer)
    first = asyncio.create_task(commits.submit(move("a")))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(commits.submit(move("b")))
    assert await first
    assert await second
    assert writer.sizes == [1, 1, 1, 1, 1], "a write that came later must not join the repetition"
    assert all(batch == writer.batches[0] for batch in writer.batches[:4])
    assert writer.repeated == [False, True, True, True, False]
    assert observer.attempts == [1, 2, 3]


async def test_repetitions_of_a_write_never_stop_and_are_seconds_apart() -> None:
    writer = Writer(fails=[JournalUnavailableError("gone")] * 200)
    began = asyncio.get_running_loop().time()
    assert await commit_to(writer).submit(move("a"))
    assert 200 < asyncio.get_running_loop().time() - began < 500


async def test_a_poisonous_write_fails_alone() -> None:
    writer = Writer(poison=frozenset({"e"}))
    found = await results(commit_to(writer), *(move(saga) for saga in "abcdefgh"))
    assert [type(result) for result in found] == [bool] * 4 + [RejectedError] + [bool] * 3


async def test_poisonous_writes_do_not_hold_up_what_comes_after_them() -> None:
    writer = Writer(poison=frozenset("ab"))
    commits = commit_to(writer)
    assert [type(r) for r in await results(commits, move("a"), move("b"))] == [RejectedError] * 2
    assert await commits.submit(move("c"))


async def test_a_locked_saga_waits_alone_and_is_written_once_it_is_free() -> None:
    writer, observer = Writer(locked=frozenset("b")), Observer()
    commits = commit_to(writer, observer)
    waiting = {saga: asyncio.create_task(commits.submit(move(saga))) for saga in "abc"}
    await asyncio.sleep(5)
    assert {saga for saga, task in waiting.items() if task.done()} == {"a", "c"}
    assert await commits.submit(move("d"))
    assert observer.attempts == [], "the journal answers, so it is not unavailable"
    writer.locked = frozenset()
    assert await asyncio.gather(*waiting.values()) == [True] * 3
    assert [[name(write) for write in batch] for batch in writer.batches[:3]] == [["a", "b", "c"], ["a", "c"], ["b"]]
    assert writer.repeated[:3] == [False, False, True]


async def test_nothing_is_flushed_while_a_saga_is_locked() -> None:
    writer = Writer(locked=frozenset("a"))
    commits = commit_to(writer)
    task = asyncio.create_task(commits.submit(move("a")))
    await asyncio.sleep(2)
    flushing = asyncio.create_task(commits.flush())
    await asyncio.sleep(2)
    assert not flushing.done()
    writer.locked = frozenset()
    await flushing
    assert await task


async def test_a_lease_that_ends_while_a_saga_is_locked_ends_the_wait() -> None:
    commits = commit_to(Writer(locked=frozenset("a")))
    task = asyncio.create_task(commits.submit(move("a")))
    await asyncio.sleep(2)
    commits.end(StaleLeaseError("over"))
    with pytest.raises(StaleLeaseError):
        await task


async def test_an_acceptance_that_exists_already_is_no_error() -> None:
    writer = Writer(missing=frozenset("a"))
    assert await results(commit_to(writer), acceptance("a"), acceptance("b")) == [False, True]


async def test_a_transition_that_finds_no_earlier_version_is_an_error_of_its_saga() -> None:
    found = await results(commit_to(Writer(missing=frozenset("a"))), move("a"), move("b"))
    assert [type(result) for result in found] == [SupersededError, bool]


async def test_a_stale_lease_fails_everything_that_waits_and_everything_that_comes() -> None:
    writer = Writer(fails=[StaleLeaseError("epoch 1 is over")], gate=asyncio.Event())
    assert writer.gate is not None
    commits = commit_to(writer)
    tasks = [asyncio.create_task(commits.submit(move("a")))]
    await asyncio.sleep(0.01)
    tasks += [asyncio.create_task(commits.submit(move(saga))) for saga in "bc"]
    await asyncio.sleep(0.01)
    writer.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in found] == [StaleLeaseError] * 3
    with pytest.raises(StaleLeaseError):
        await commits.submit(move("d"))
    assert writer.sizes == [1]


async def test_a_lease_that_ends_while_the_journal_is_away_ends_the_repetition() -> None:
    writer = Writer(fails=[JournalUnavailableError("gone")] * 1000)
    commits = commit_to(writer)
    task = asyncio.create_task(commits.submit(move("a")))
    await asyncio.sleep(10)
    commits.end(StaleLeaseError("over"))
    with pytest.raises(StaleLeaseError):
        await task


async def test_a_fault_of_ours_is_told_to_who_waits() -> None:
    writer = Writer(fails=[KeyError("held")])
    commits = commit_to(writer)
    assert [type(r) for r in await results(commits, move("a"), move("b"))] == [KeyError, KeyError]
    assert await commits.submit(move("a"))


async def test_who_gives_up_waiting_does_not_take_the_batch_along() -> None:
    commits = commit_to(Writer())
    tasks = [asyncio.create_task(commits.submit(move(saga))) for saga in "ab"]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert await tasks[1]


async def test_flushing_waits_until_nothing_waits() -> None:
    writer = Writer()
    commits = commit_to(writer)
    tasks = [asyncio.create_task(commits.submit(move(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    await commits.flush()
    assert all(task.done() for task in tasks)
    await commits.flush()
