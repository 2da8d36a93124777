"""The writer alone, on a real table: every order of arrival, every cut into batches, and fencing."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from psycopg import sql

from kompensa_cdc.replicas import replica_from_object
from kompensa_cdc.replicas.row_writer import COPY_FROM_ROWS
from kompensa_cdc.replicas.table import TargetError, read_table
from kompensa_consumer.database import connect
from kompensa_consumer.offsets import FencedError, OffsetTable
from kompensa_dev.postgres import Login

from .copies import CREATED, DELETED, Change, expected_rows, read_rows, replica_object
from .writer_desk import ANA, BIA, desk, emptied


def cuts(changes: Sequence[Change]) -> Iterable[list[Sequence[Change]]]:
    """The changes one by one, all at once, and cut in the middle."""
    middle = len(changes) // 2
    return ([[change] for change in changes], [changes], [changes[:middle], changes[middle:]])


LIVES = {
    "ends deleted": (
        Change(key=ANA, version=1, type=CREATED),
        Change(key=ANA, version=2),
        Change(key=ANA, version=3, type=DELETED),
    ),
    "deleted twice and back": (
        Change(key=ANA, version=1, type=CREATED),
        Change(key=ANA, version=2, type=DELETED),
        Change(key=ANA, version=3, payload={"document": None}),
        Change(key=ANA, version=4, type=DELETED),
    ),
    "back for good": (
        Change(key=ANA, version=1, type=CREATED),
        Change(key=ANA, version=2, type=DELETED),
        Change(key=ANA, version=3),
        Change(key=ANA, version=4),
    ),
}


@pytest.mark.parametrize("on_delete", ["SoftDelete", "Delete"])
@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES.keys())
async def test_every_order_of_arrival_gives_the_same_row(target: Login, life: Sequence[Change], on_delete: str) -> None:
    expected = expected_rows(life, soft=on_delete == "SoftDelete")
    async with desk(target, on_delete=on_delete) as writing:
        for order in itertools.permutations(life):
            for batches in cuts(order):
                emptied(target)
                for batch in batches:
                    await writing.write(batch)
                await writing.write(order[:2])  # and once more what came first

                assert read_rows(target.url) == expected, [change.version for change in order]


async def test_a_writer_without_the_version_guard_would_be_noticed(target: Login) -> None:
    async with desk(target) as writing:
        guard = ' WHERE coalesce(c."source_version", 0) < excluded."source_version"'
        rows = writing.writer.rows
        text = rows.statements.upsert_from_arrays.as_string(writing.connection)
        assert guard in text
        mutated = sql.Composed([sql.SQL(text.replace(guard, ""))])
        statements = replace(rows.statements, upsert_from_arrays=mutated)
        writing.writer = replace(writing.writer, rows=replace(rows, statements=statements))
        await writing.write([Change(key=ANA, version=2)])
        await writing.write([Change(key=ANA, version=1, type=CREATED)])

    assert read_rows(target.url) != expected_rows([Change(key=ANA, version=2)])


async def test_a_deletion_outlives_a_state_of_the_same_version_in_its_batch(target: Login) -> None:
    state, deletion = Change(key=ANA, version=2), Change(key=ANA, version=2, type=DELETED)
    async with desk(target) as writing:
        for batch in ([state, deletion], [deletion, state]):
            emptied(target)
            await writing.write(batch)

            assert read_rows(target.url) == {ANA: (2, "", None, "Name 2", None, deletion.time)}


ADOPTED = """
ALTER TABLE invoices.customers ALTER source_version DROP NOT NULL;
INSERT INTO invoices.customers (orders_customer_id, email, full_name, synced_at) VALUES ('{key}', 'old', 'Old', now())
"""


@pytest.mark.parametrize("on_delete", ["SoftDelete", "Delete"])
@pytest.mark.parametrize(
    "life",
    [
        (Change(key=ANA, version=1),),
        (Change(key=ANA, version=1), Change(key=ANA, version=2, type=DELETED)),
        (Change(key=ANA, version=2, type=DELETED), Change(key=ANA, version=1)),
    ],
    ids=["state", "state, deletion", "deletion, late state"],
)
async def test_a_row_that_was_there_before_its_version_column_is_older_than_every_event(
    target: Login, life: Sequence[Change], on_delete: str
) -> None:
    async with desk(target, on_delete=on_delete) as writing:
        await writing.connection.execute(ADOPTED.format(key=ANA))
        for change in life:
            await writing.write([change])

    assert read_rows(target.url) == expected_rows(life, soft=on_delete == "SoftDelete")


async def test_a_row_without_a_version_takes_a_late_state_of_a_deletion_that_it_missed(target: Login) -> None:
    life = (Change(key=ANA, version=2, type=DELETED), Change(key=ANA, version=1))
    async with desk(target) as writing:
        await writing.write(life[:1])
        await writing.connection.execute(ADOPTED.format(key=ANA))
        await writing.write(life[1:])

    assert read_rows(target.url) == expected_rows(life)


async def test_a_large_batch_is_copied_with_the_same_guard(target: Login) -> None:
    keys = [f"00000000-0000-4000-8000-{number:012x}" for number in range(COPY_FROM_ROWS + 10)]
    newer = [Change(key=key, version=2, payload={"fullName": "tab\t, line\n, back\\slash"}) for key in keys[::2]]
    older = [Change(key=key, version=1, type=CREATED) for key in keys]
    async with desk(target) as writing:
        await writing.write(newer)
        await writing.write(older)

    assert read_rows(target.url) == expected_rows([*newer, *older])


async def test_without_the_right_to_temporary_tables_arrays_carry_large_batches(target: Login) -> None:
    changes = [Change(key=f"00000000-0000-4000-8000-{number:012x}", version=1) for number in range(COPY_FROM_ROWS + 10)]
    async with desk(target) as writing:
        await writing.connection.execute("DROP TABLE kompensa_staged")
        writing.writer = replace(writing.writer, rows=replace(writing.writer.rows, may_stage=False))
        await writing.write(changes)

    assert read_rows(target.url) == expected_rows(changes)


async def test_a_zombie_cannot_write_after_a_newcomer_took_over(target: Login) -> None:
    async with desk(target) as zombie, desk(target) as newcomer:
        with pytest.raises(FencedError):
            await zombie.write([Change(key=ANA, version=1, type=CREATED), Change(key=ANA, version=2)])
        assert read_rows(target.url) == {}

        await newcomer.write([Change(key=ANA, version=1, type=CREATED)])
        assert read_rows(target.url) == expected_rows([Change(key=ANA, version=1)])


async def test_a_batch_that_was_written_cannot_be_written_again(target: Login) -> None:
    async with desk(target) as writing:
        before = writing.claim
        await writing.write([Change(key=ANA, version=1, type=CREATED)])
        writing.claim = before
        with pytest.raises(FencedError):
            await writing.write([Change(key=BIA, version=1, type=CREATED)])

    assert read_rows(target.url).keys() == {ANA}


@pytest.mark.parametrize("lost", ["AND o.epoch = m.epoch", "AND o.next_offset = m.start"])
async def test_a_fence_that_compares_only_half_would_be_noticed(
    target: Login, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = OffsetTable.compose

    def halved(self: OffsetTable, text: str) -> sql.Composed:
        return whole(self, text.replace(lost, ""))

    monkeypatch.setattr(OffsetTable, "compose", halved)
    async with desk(target) as zombie, desk(target) as newcomer:
        if "epoch" in lost:
            await zombie.write([Change(key=ANA, version=1, type=CREATED)])
        else:
            before = newcomer.claim
            await newcomer.write([Change(key=BIA, version=1, type=CREATED)])
            newcomer.claim = before
            await newcomer.write([Change(key=ANA, version=1, type=CREATED)])

    assert ANA in read_rows(target.url)


@pytest.mark.parametrize(
    ("ddl", "complaint"),
    [
        ("DROP TABLE invoices.customers", "table invoices.customers does not exist"),
        ("ALTER TABLE invoices.customers DROP COLUMN email", "has no column email"),
        ("ALTER TABLE invoices.customers ADD phone text NOT NULL", "column phone of invoices.customers is NOT NULL"),
        (
            "ALTER TABLE invoices.customers DROP CONSTRAINT customers_orders_customer_id_key",
            "needs a unique index of its own",
        ),
    ],
)
async def test_a_table_that_cannot_hold_the_copy_is_reported_in_one_sentence(
    target: Login, ddl: str, complaint: str
) -> None:
    async with await connect(target.url) as connection:
        await connection.execute(ddl)
        with pytest.raises(TargetError, match=complaint):
            await read_table(connection, replica_from_object(replica_object("t")).target)
