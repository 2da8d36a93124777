"""Logins from Secrets as people and operators of databases write them."""

from typing import Any

import pytest

from kompensa_cdc.capture import Database, InvalidOutboxError, database_from_secret

PLAIN = {"host": "db", "port": "5432", "database": "orders", "username": "ana", "password": "hush"}
ORDERS = Database(host="db", port=5432, database="orders", username="ana", password="hush")
CLOUD_NATIVE_PG = {
    "dbname": "orders",
    "fqdn-uri": "postgresql://ana:hush@db.shop.svc.cluster.local:5432/orders",
    "host": "db",
    "jdbc-uri": "jdbc:postgresql://db.shop:5432/orders?password=hush&user=ana",
    "password": "hush",
    "pgpass": "db:5432:orders:ana:hush\n",
    "port": "5432",
    "uri": "postgresql://ana:hush@db.shop:5432/orders",
    "user": "ana",
    "username": "ana",
}
CRUNCHY = {"dbname": "orders", "host": "db", "password": "hush", "port": "5432", "user": "ana", "verifier": "SCRAM"}


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (PLAIN, {}),
        (CLOUD_NATIVE_PG, {}),
        (CRUNCHY, {}),
        ({"url": "postgresql://ana:hush@db:5432/orders"}, {}),
        ({"uri": "postgres://ana:hush@db/orders?sslmode=prefer&gssencmode=disable"}, {}),
        ({"where": "postgresql://ana:hush@db/orders"}, {"url": "where"}),
        ({**PLAIN, "host": "other", "writer": "db"}, {"host": "writer"}),
        ({key: f"{value}\n" for key, value in PLAIN.items()}, {}),
        ({key: f"{value}\r\n" for key, value in PLAIN.items()}, {}),
    ],
    ids=["ours", "CloudNativePG", "Crunchy", "url", "uri", "named url", "named part", "line ends", "line ends of DOS"],
)
def test_a_login_is_found(values: dict[str, str], keys: dict[str, str]) -> None:
    assert database_from_secret("orders", values, keys) == ORDERS


@pytest.mark.parametrize("password", ["a@b:c/d?e#f%g h", "ü'\"\\", "*anchor", "1234", " blank "])
def test_a_password_is_taken_as_it_was_written(password: str) -> None:
    assert database_from_secret("orders", {**PLAIN, "password": password}).password == password


def test_a_password_in_a_url_is_decoded() -> None:
    found = database_from_secret("orders", {"url": "postgresql://a%40b:p%2Fw%20%25@[fd00::1]:6432/d?sslmode=require"})
    assert (found.host, found.port, found.username, found.password) == ("fd00::1", 6432, "a@b", "p/w %")
    assert found.sslmode == "require"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "host, port"),
        ({"host": "db", "database": "orders", "password": "hush"}, "port, username or user"),
        ({**PLAIN, "password": "hush\nhush"}, "password"),
        ({**PLAIN, "port": "five"}, "port"),
        ({**PLAIN, "port": "70000"}, "port"),
        ({"url": "mysql://ana:hush@db/orders"}, "URL"),
        ({"url": "postgresql://ana:hu@sh@db/orders"}, "%40"),
        ({"url": "postgresql://ana:hush@db:x/orders"}, "port"),
        ({"url": "postgresql://ana@db/orders"}, "password"),
        ({"url": "postgresql://ana:hush@one,two/orders"}, "several hosts"),
        ({"url": "postgresql://ana:hush@/orders?host=/var/run/postgresql"}, "Unix socket"),
        ({"url": "postgresql://ana:hush@db/orders?sslmode=verify-full"}, "sslmode=verify-full"),
        ({"url": "postgresql://ana:hush@db/orders?sslrootcert=/ca.crt"}, "sslrootcert"),
        ({"url": "postgresql://ana:hush@db/orders?options=-c%20role%3Dx"}, "options"),
        ({"url": "postgresql://ana:hush@db/orders?channel_binding=require"}, "channel_binding"),
    ],
)
def test_an_unusable_login_is_named_without_showing_a_value(values: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidOutboxError, match="Secret orders") as rejected:
        database_from_secret("orders", values)
    assert named in str(rejected.value)
    assert "hush" not in str(rejected.value)


def test_the_keys_that_are_there_are_named() -> None:
    with pytest.raises(InvalidOutboxError, match="its keys: db_host, db_pass"):
        database_from_secret("orders", {"db_host": "db", "db_pass": "hush"})


def test_a_repr_does_not_show_the_password() -> None:
    assert "hush" not in repr(ORDERS)


def test_a_secret_of_username_and_password_names_the_keys_to_add() -> None:
    with pytest.raises(InvalidOutboxError, match="host, port, database or dbname") as rejected:
        database_from_secret("zalando", {"username": "orders", "password": "hush"})
    assert "hush" not in str(rejected.value)


def test_a_misspelt_parameter_of_a_url_is_named() -> None:
    with pytest.raises(InvalidOutboxError, match="sslmod, "):
        database_from_secret("orders", {"url": "postgresql://u:hush@h/d?sslmod=require"})


@pytest.mark.parametrize("port", ["0", "65536", "-1", "five", "٥", "9" * 5000])
def test_a_port_that_is_none_is_rejected(port: str) -> None:
    with pytest.raises(InvalidOutboxError, match="65535"):
        database_from_secret("orders-postgres", {**PLAIN, "port": port})
