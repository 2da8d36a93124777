"""A database that cannot write a batch in time: the batch is written in parts, and the time-out is reported."""

from collections.abc import Callable

import pytest

from kompensa_cdc.replicas import Progress, retrying_writer, target
from kompensa_cdc.replicas.metrics import Metrics
from kompensa_cdc.replicas.retrying_writer import RetryingWriter
from kompensa_dev.postgres import Login

from .copies import Change, execute, query
from .writer_desk import copy_of, desk, ids, parked

SLOW = """
CREATE TABLE invoices.things (id text PRIMARY KEY, version bigint, name varchar(4));
CREATE FUNCTION invoices.slow() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON invoices.things FOR EACH ROW EXECUTE FUNCTION invoices.slow();
"""


def limit_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(target.SETTINGS, "statement_timeout", "2s")


def limit_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying_writer, "APPLY_TIMEOUT_SECONDS", 2)


@pytest.mark.parametrize(
    ("limit", "reported"),
    [
        (limit_statements, "canceling statement due to statement timeout"),
        (limit_transactions, "a transaction was not done within 2 s"),
    ],
    ids=["a statement", "a transaction"],
)
async def test_a_batch_that_takes_too_long_is_written_in_parts_and_reported(
    things: Login, monkeypatch: pytest.MonkeyPatch, limit: Callable[[pytest.MonkeyPatch], None], reported: str
) -> None:
    execute(things, SLOW)
    changes = [Change(key=f"k{number:02}", version=1, payload={"name": "fits"}) for number in range(20)]
    changes[13] = Change(key="k13", version=1, payload={"name": "does not"})
    limit(monkeypatch)
    async with desk(things, replica=copy_of("name")) as writing:
        progress = Progress("shop/things")
        metrics = Metrics(progress)
        async with RetryingWriter(
            writing.writer, database_url=things.url, progress=progress, metrics=metrics
        ) as retrying:
            applied = await retrying.write(writing.batch(changes))

    assert (applied.records, applied.written, len(applied.parked)) == (20, 19, 1)
    assert len(ids(things)) == 19
    assert parked(things).keys() == {"k13"}
    assert query(things.url, "SELECT next_offset, applied FROM invoices.kompensa_replica_offsets") == [
        {"next_offset": 20, "applied": 20}
    ]
    assert reported in progress.last_error
    assert "batch.maxRecords" in progress.last_error
    assert not progress.problems
