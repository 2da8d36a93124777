"""The rows that the statements of the journal read and write, however many sagas it holds."""

import asyncpg
import pytest

from kompensa.journal.records import SagaFilter
from kompensa_dev.postgres import Login
from tests.integration.conftest_engine import Journals
from tests.support.journal_rows import acceptance, joined, transition, written


async def test_a_commit_costs_the_same_with_any_number_of_sagas(database: Login, journals: Journals) -> None:
    """The plan is made once, on empty tables: it must not be one that reads whole tables."""
    journal = journals()
    await journal.open()
    lease = await joined(journal)
    for _ in range(20):
        started = [acceptance() for _ in range(20)]
        await written(journal, lease, *started)
        await written(journal, lease, *(transition(write.row.id) for write in started))
    await journal.close()
    assert await rows_touched(database) == {"in order": 0, "by index": 400, "updated": 400}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (SagaFilter(name="order-7"), 1),
        (SagaFilter(name="order-7", namespace="shop", source="api"), 1),
        (SagaFilter(name="order-none"), 0),
        (SagaFilter(phase="InterventionRequired"), 2),
        (SagaFilter(phase="InterventionRequired", namespace="shop", active=True), 2),
        (SagaFilter(limit=3), 3),
        (SagaFilter(namespace="shop", limit=3), 3),
    ],
)
async def test_a_page_reads_only_the_rows_that_it_shows(
    database: Login, journals: Journals, wanted: SagaFilter, found: int
) -> None:
    """This plan, too, is made on empty tables."""
    journal = journals()
    await journal.open()
    assert await journal.sagas.page(wanted) == []
    lease = await joined(journal)
    for first in range(0, 400, 100):
        numbers = range(first, first + 100)
        phases = ["InterventionRequired" if number in (50, 350) else "Running" for number in numbers]
        rows = zip(numbers, phases, strict=True)
        await written(journal, lease, *(acceptance(name=f"order-{number}", phase=phase) for number, phase in rows))
    for _ in range(5):
        assert len(await journal.sagas.page(wanted)) == found
    await journal.close()
    assert await rows_touched(database) == {"in order": 0, "by index": 5 * found, "updated": 0}


async def rows_touched(database: Login) -> dict[str, int]:
    """Rows of sagas that all statements have read and changed; PostgreSQL counts a session's when it ends."""
    connection = await asyncpg.connect(database.url)
    row = await connection.fetchrow(
        "SELECT seq_tup_read, idx_tup_fetch, n_tup_upd FROM pg_stat_user_tables WHERE relname = 'sagas'"
    )
    await connection.close()
    return dict(zip(("in order", "by index", "updated"), row, strict=True))
