"""The SQL that the chart postgres applies on every install and upgrade, on a real server with the roles' own logins.

S1: a service's role can read nothing of another's. S13: no foreign key crosses. The rest of the chart needs a cluster.
"""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from charts.tests.program import found
from charts.tests.rendering import Helm, Rendering
from kompensa_cdc.capture.naming import replication_name
from kompensa_dev.postgres import PostgresServer
from kompensa_dev.run import Run
from kompensa_dev.shop import PUBLISHERS

pytestmark = pytest.mark.integration

SHARED = "shop"
OWN = "orders"
Provision = Callable[[Rendering], None]


@pytest.fixture(scope="module")
def helm(run: Run) -> Helm:
    return found(run.logs / "helm.log")


@pytest.fixture(scope="module")
def postgres(run: Run) -> PostgresServer:
    """A server of its own: the chart closes databases that other tests expect open."""
    return PostgresServer(run, name="postgres-chart")


@pytest.fixture
def provision(postgres: PostgresServer, tmp_path: Path) -> Provision:
    """Applies a rendering's SQL to the test server as its Job would, logins as files."""

    def apply(rendering: Rendering) -> None:
        for secret in rendering.of("Secret"):
            folder = tmp_path / secret["metadata"]["name"]
            folder.mkdir(exist_ok=True)
            (folder / "password").write_text(secret["stringData"]["password"])
        (config,) = rendering.of("ConfigMap")
        script = tmp_path / "provision.sql"
        script.write_text(config["data"]["provision.sql"].replace("/etc/logins", str(tmp_path)))
        psql = shutil.which("psql")
        assert psql, "psql comes with the server: apt-get install postgresql-15"
        done = subprocess.run(
            [psql, "--no-psqlrc", "--quiet", "--file", str(script), postgres.admin_url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return apply


def logins(rendering: Rendering, postgres: PostgresServer) -> dict[str, str]:
    """URL of each role on the test server, by its Secret."""
    return {
        secret["metadata"]["name"]: _url(secret["stringData"], postgres)
        for secret in rendering.of("Secret")
        if not secret["metadata"]["name"].endswith("-superuser")
    }


def _url(login: Mapping[str, Any], postgres: PostgresServer) -> str:
    return f"postgresql://{login['username']}:{login['password']}@{postgres.host}:{postgres.port}/{login['database']}"


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def shared(helm: Helm, postgres: PostgresServer, provision: Provision) -> Mapping[str, str]:
    """Logins of the shop in isolation `schema`."""
    rendering = _only_database(helm.render("shop", {"isolation": "schema"}))
    provision(rendering)
    return logins(rendering, postgres)


def _only_database(rendering: Rendering) -> Rendering:
    rendering.objects = [item for item in rendering.objects if "-postgres" in str(item["metadata"]["labels"])]
    return rendering


def test_in_a_shared_database_a_role_does_as_it_likes_in_its_own_schema(shared: Mapping[str, str]) -> None:
    run(shared["inventory-postgres"], "CREATE TABLE inventory.stock (id int)", "INSERT INTO inventory.stock VALUES (1)")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM inventory.secret",
        "INSERT INTO inventory.secret VALUES (1)",
        "CREATE TABLE inventory.mine (id int)",
        "CREATE TABLE orders.mine (id int REFERENCES inventory.secret)",
        "CREATE VIEW orders.theirs AS SELECT * FROM inventory.secret",
        "GRANT USAGE ON SCHEMA inventory TO orders",
        "CREATE SCHEMA another",
        "CREATE TABLE public.mine (id int)",
        "CREATE PUBLICATION everything FOR TABLE inventory.secret",
        "SET ROLE inventory",
    ],
)
def test_in_a_shared_database_a_role_can_do_nothing_with_anothers(
    shared: Mapping[str, str], postgres: PostgresServer, statement: str
) -> None:
    run(shared["inventory-postgres"], "CREATE TABLE IF NOT EXISTS inventory.secret (id int PRIMARY KEY)")
    with pytest.raises(errors.InsufficientPrivilege):
        run(shared["orders-postgres"], statement)


def test_the_owner_fills_the_publication_that_it_could_not_make(
    shared: Mapping[str, str], postgres: PostgresServer
) -> None:
    name = replication_name("shop", "orders")
    run(
        shared["orders-postgres"],
        "CREATE TABLE IF NOT EXISTS orders.outbox (id int PRIMARY KEY)",
        f"ALTER PUBLICATION {name} SET TABLE orders.outbox",
    )
    with psycopg.connect(postgres.admin_of(SHARED).url) as connection:
        rows = connection.execute("SELECT pubname, pubinsert, pubupdate, pubdelete FROM pg_publication").fetchall()
    published = {pubname: operations for pubname, *operations in rows}
    assert {replication_name("shop", service) for service in PUBLISHERS} <= published.keys()
    assert all(operations == [True, False, False] for operations in published.values())


def test_the_capture_role_reads_granted_tables_and_creates_its_slot(shared: Mapping[str, str]) -> None:
    run(
        shared["orders-postgres"],
        "CREATE TABLE IF NOT EXISTS orders.outbox (id int PRIMARY KEY)",
        "GRANT USAGE ON SCHEMA orders TO orders_capture",
        "GRANT SELECT ON orders.outbox TO orders_capture",
    )
    capture = shared["orders-capture"]
    run(capture, "SELECT * FROM orders.outbox")
    run(
        capture,
        "SELECT pg_create_logical_replication_slot('of_the_test', 'pgoutput')",
        "SELECT pg_drop_replication_slot('of_the_test')",
    )
    with pytest.raises(errors.InsufficientPrivilege):
        run(capture, "INSERT INTO orders.outbox VALUES (1)")


def test_a_database_of_ones_own_is_closed_to_everybody_else(
    helm: Helm, postgres: PostgresServer, provision: Provision
) -> None:
    rendering = helm.render("postgres", {"databases": [{"database": "crm"}, {"database": "erp"}]})
    provision(rendering)
    crm = logins(rendering, postgres)["postgres-crm"]
    run(crm, "CREATE SCHEMA crm", "CREATE TABLE crm.leads (id int)", "CREATE PUBLICATION leads FOR TABLE crm.leads")
    for other in ("erp", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            run(crm.rpartition("/")[0] + f"/{other}")


def test_it_may_run_again_and_adds_a_database_to_live_data(
    helm: Helm, postgres: PostgresServer, provision: Provision
) -> None:
    before = helm.render("postgres", {"databases": [{"database": "live"}]})
    provision(before)
    run(logins(before, postgres)["postgres-live"], "CREATE TABLE kept AS SELECT 42 AS answer")
    after = helm.render("postgres", {"databases": [{"database": "live"}, {"database": "added"}]})
    provision(after)
    provision(after)
    urls = logins(after, postgres)
    with psycopg.connect(urls["postgres-live"]) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    run(urls["postgres-added"], "CREATE TABLE fresh (id int)")


def test_a_renewed_password_is_the_only_one_that_opens(
    helm: Helm, postgres: PostgresServer, provision: Provision
) -> None:
    databases = {"databases": [{"database": "renewed"}]}
    old, new = helm.render("postgres", databases), helm.render("postgres", databases, namespace="elsewhere")
    provision(old)
    provision(new)
    run(logins(new, postgres)["postgres-renewed"])
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        run(logins(old, postgres)["postgres-renewed"])
