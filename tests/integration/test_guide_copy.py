"""docs/guides/copy-a-table.md: its SQL on a real PostgreSQL, judged by the code that captures and copies."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.rows import namedtuple_row

from kompensa_cdc.capture import Database, outbox_from_object
from kompensa_cdc.capture.checks import check_source
from kompensa_cdc.replicas import replica_from_object
from kompensa_cdc.replicas.changes import Change
from kompensa_cdc.replicas.prepare import preparer
from kompensa_cdc.replicas.table import read_table
from kompensa_consumer.database import connect
from kompensa_dev.checkout import checkout
from kompensa_dev.postgres import Login, PostgresServer

TEXT = (checkout() / "docs/guides/copy-a-table.md").read_text(encoding="utf-8")
SQL = dict(re.findall(r"^```sql\n-- (\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
OBJECTS: dict[str, dict[str, Any]] = {
    document["kind"]: document
    for block in re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    for document in yaml.safe_load_all(block)
}
TABLE = "CREATE SCHEMA catalog; CREATE TABLE catalog.products (id uuid PRIMARY KEY, title text, price numeric(12,2))"
OLD, NEW = "7d444840-9dc0-11d1-b245-5ffdce74fad2", "3b241101-e2bb-4255-8caf-4136c566a962"


@dataclass(frozen=True)
class Told:
    """A row of the outbox as the connector sends it."""

    row: Any

    def topic(self) -> str:
        return f"catalog.{self.row.event_type}"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 0

    def key(self) -> bytes:
        return str(self.row.aggregate_id).encode()

    def value(self) -> bytes:
        return json.dumps(self.row.payload).encode()

    def headers(self) -> list[tuple[str, str | bytes | None]]:
        return [("event-type", self.row.event_type), ("aggregate-version", str(self.row.aggregate_version))]

    def timestamp(self) -> tuple[int, int]:
        return (1, 0)


@pytest.fixture(scope="module")
def owner(postgres: PostgresServer) -> Iterator[Login]:
    """The database `catalog`, in which a product was there before the guide was followed."""
    login = postgres.create_database("catalog")
    run(login, TABLE)
    run(login, f"INSERT INTO catalog.products VALUES ('{OLD}', 'Clean Code', 29.99)")
    run(login, SQL["owner"])
    run(postgres.admin_of("catalog"), SQL["superuser"])
    yield login
    postgres.drop_database("catalog", roles=("catalog", "catalog_capture"))


@pytest.fixture(scope="module")
def consumer(postgres: PostgresServer) -> Iterator[Login]:
    login = postgres.create_database("storefront")
    run(login, "CREATE SCHEMA storefront")
    run(login, SQL["consumer"])
    yield login
    postgres.drop_database("storefront", roles=("storefront",))


def run(login: Login, statements: str) -> None:
    with psycopg.connect(login.url, autocommit=True) as connection:
        connection.execute(statements)


def told(login: Login) -> list[Any]:
    with psycopg.connect(login.url, row_factory=namedtuple_row) as connection:
        return connection.execute("SELECT * FROM catalog.outbox ORDER BY aggregate_id, aggregate_version").fetchall()


async def test_the_outbox_can_be_captured_by_the_logins_that_are_made(owner: Login) -> None:
    outbox = outbox_from_object("shop", "catalog", OBJECTS["Outbox"]["spec"])
    logins = {"owner": owner.username, "capture": "catalog_capture"}
    databases = {
        name: Database(
            host=owner.host,
            port=owner.port,
            database="catalog",
            username=username,
            password=owner.password if name == "owner" else "change-me",
        )
        for name, username in logins.items()
    }
    await check_source(outbox, **databases)


async def test_each_change_of_a_product_fits_the_copy(owner: Login, consumer: Login) -> None:
    run(owner, f"INSERT INTO catalog.products VALUES ('{NEW}', 'Keyboard', 149.99)")
    run(owner, f"UPDATE catalog.products SET price = 139.99 WHERE id = '{NEW}'")
    run(owner, f"DELETE FROM catalog.products WHERE id = '{NEW}'")
    spec = replica_from_object(OBJECTS["Replica"])
    async with await connect(consumer.url) as connection:
        prepare = preparer(spec, await read_table(connection, spec.target))
    prepared = [prepare(Told(row)) for row in told(owner) if str(row.aggregate_id) in (OLD, NEW)]
    assert all(isinstance(change, Change) for change in prepared), prepared
    found = [(str(c.event.key), c.event.aggregate_version, c.row) for c in prepared if isinstance(c, Change)]
    assert found == [
        (NEW, 1, ("Keyboard", "149.99")),
        (NEW, 2, ("Keyboard", "139.99")),
        (NEW, 3, None),
        (OLD, 1, ("Clean Code", "29.99")),
    ]


def test_an_id_is_not_used_twice(owner: Login) -> None:
    gone = "0b8a3c5e-0000-4000-8000-0000000000a1"
    run(owner, f"INSERT INTO catalog.products VALUES ('{gone}', 'Mouse', 9.99)")
    run(owner, f"DELETE FROM catalog.products WHERE id = '{gone}'")
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(owner, f"INSERT INTO catalog.products VALUES ('{gone}', 'Mouse', 9.99)")
