"""The writer on tables of any columns: no value is cut on its way, and each event that does not fit is told apart."""

from collections.abc import Sequence
from typing import Any

import pytest

from kompensa.dev.postgres import Login
from kompensa_cdc.replicas.apply import COPY_FROM_ROWS

from .copies import Change, execute
from .writer_desk import copy_of, desk, ids, parked, rows

CHARACTERS = """
CREATE DOMAIN invoices.code AS varchar(3);
CREATE DOMAIN invoices.short_code AS invoices.code NOT NULL;
CREATE TABLE invoices.things (
  id text PRIMARY KEY, version bigint, currency char(3), flags bit(4), code invoices.short_code, tags char(2)[])
"""


def keyed(payloads: Sequence[dict[str, Any]]) -> list[Change]:
    return [Change(key=f"k{number:04}", version=1, payload=payload) for number, payload in enumerate(payloads)]


@pytest.mark.parametrize("count", [1, COPY_FROM_ROWS + 10], ids=["arrays", "copy"])
async def test_columns_of_a_fixed_length_hold_what_the_event_says(things: Login, count: int) -> None:
    execute(things, CHARACTERS)
    payload = {"currency": "EUR", "flags": "1011", "code": "abc", "tags": "{ab,cd}"}
    async with desk(things, replica=copy_of("currency", "flags", "code", "tags")) as writing:
        await writing.write(keyed([payload] * count))

    assert parked(things) == {}
    assert [{**row, "id": "", "version": 1} for row in rows(things)] == [
        {"id": "", "version": 1} | payload | {"tags": ["ab", "cd"]}
    ] * count


@pytest.mark.parametrize("fitting", [1, COPY_FROM_ROWS + 10], ids=["arrays", "copy"])
@pytest.mark.parametrize(
    "too_long", [{"currency": "EURO"}, {"flags": "10110"}, {"code": "abcdef"}, {"tags": "{abc}"}], ids=str
)
async def test_what_is_too_long_for_its_column_is_parked_and_never_cut(
    things: Login, fitting: int, too_long: dict[str, Any]
) -> None:
    execute(things, CHARACTERS)
    async with desk(things, replica=copy_of("currency", "flags", "code", "tags")) as writing:
        await writing.write([Change(key="long", version=1, payload={"code": "x"} | too_long)])
        await writing.write(
            [*keyed([{"code": "x"}] * fitting), Change(key="longer", version=1, payload={"code": "x"} | too_long)]
        )

    assert parked(things).keys() == {"long", "longer"}
    assert len(rows(things)) == fitting


async def test_keys_of_a_fixed_length_are_told_apart(things: Login) -> None:
    execute(things, "CREATE TABLE invoices.things (id char(2) PRIMARY KEY, version bigint, name text)")
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write([Change(key=key, version=1, payload={"name": key}) for key in ("DE", "DK", "FR")])
        await writing.write([Change(key="DK", version=2, payload=None)])

    assert parked(things) == {}
    assert ids(things) == ["DE", "FR"]
