"""A database that cannot write a batch in time: the batch is written in parts, and the time-out is reported."""

from functools import partial

import pytest

from kompensa_cdc.replicas.applied import Applied
from kompensa_consumer import Progress, RetryingConnection, connection, database
from kompensa_consumer.database import connect
from kompensa_consumer.writer import RetryingWriter
from kompensa_dev.postgres import Login

from .copies import Change, execute, query
from .writer_desk import copy_of, desk, ids, parked

SLOW = """
CREATE TABLE invoices.things (id text PRIMARY KEY, version bigint, name varchar(4));
CREATE FUNCTION invoices.slow() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON invoices.things FOR EACH ROW EXECUTE FUNCTION invoices.slow();
"""


@pytest.mark.parametrize(
    ("limits", "limit", "told"),
    [
        (database.SETTINGS, ("statement_timeout", "2s"), "canceling statement due to statement timeout"),
        (vars(connection), ("APPLY_TIMEOUT_SECONDS", 2), "a transaction was not done within 2 s"),
    ],
    ids=["a statement", "a transaction"],
)
async def test_a_batch_that_takes_too_long_is_written_in_parts_and_reported(
    things: Login, monkeypatch: pytest.MonkeyPatch, limits: dict[str, object], limit: tuple[str, object], told: str
) -> None:
    execute(things, SLOW)
    changes = [Change(key=f"k{number:02}", version=1, payload={"name": "fits"}) for number in range(20)]
    changes[13] = Change(key="k13", version=1, payload={"name": "does not"})
    monkeypatch.setitem(limits, *limit)
    async with desk(things, replica=copy_of("name")) as writing:
        progress = Progress("shop/things")
        parts: list[Applied] = []
        async with RetryingConnection(
            partial(connect, things.url),
            database_url=things.url,
            progress=progress,
            prepare=writing.writer.prepare_connection,
        ) as retrying:
            await RetryingWriter(writing.writer, retrying).write(
                writing.batch(changes), lambda _, applied, _began: parts.append(applied)
            )

    assert len(parts) > 1
    assert sum(part.records for part in parts) == 20
    assert sum(part.written for part in parts) == 19
    assert sum(len(part.parked) for part in parts) == 1
    assert len(ids(things)) == 19
    assert parked(things).keys() == {"k13"}
    assert query(things.url, "SELECT next_offset, applied FROM invoices.kompensa_replica_offsets") == [
        {"next_offset": 20, "applied": 20}
    ]
    assert told in progress.last_error
    assert "batch.maxRecords" in progress.last_error
    assert not progress.problems
