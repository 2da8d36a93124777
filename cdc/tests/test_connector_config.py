"""The connector's configuration against a golden file: every change of it is meant to be seen in review."""

import json
from pathlib import Path

import pytest

from kompensa_cdc.capture import Credentials, Database, Directory, Inline, connector_config, outbox_from_object
from kompensa_cdc.capture.connector import database_of_connector

GOLDEN = Path(__file__).parent / "golden" / "connector.json"
OUTBOX = outbox_from_object(
    "shop", "orders", {"table": "orders.outbox", "topicPrefix": "orders", "events": ["customer-created"]}
)
EVENTS = outbox_from_object(
    "shop",
    "order-events",
    {
        "table": "orders.events",
        "topicPrefix": "orders",
        "route": "ByAggregateType",
        "aggregateTypes": ["Order"],
        "columns": {"payload": "data"},
    },
)
ROW_FILTER = "event_type ~ '^[a-z]+$'"
DATABASE = Database(host="orders-postgres", port=5432, database="orders", username="capture", password="hush")


CREDENTIALS = Directory(path="/etc/kompensa/capture", key="shop.orders")


def test_the_configuration_is_the_golden_one() -> None:
    made = connector_config(OUTBOX, DATABASE, CREDENTIALS, row_filter=ROW_FILTER)

    assert made == json.loads(GOLDEN.read_text())


def test_an_event_table_goes_to_one_topic_in_order_with_the_headers_of_its_columns() -> None:
    made = connector_config(EVENTS, DATABASE, CREDENTIALS, row_filter=ROW_FILTER, optional=["causation_id"])
    plain = connector_config(OUTBOX, DATABASE, CREDENTIALS, row_filter=ROW_FILTER)
    router = {key.removeprefix("transforms.outbox."): value for key, value in made.items() if plain.get(key) != value}

    assert router["route.by.field"] == "aggregate_type"
    assert router["table.field.event.payload"] == "data"
    assert router["table.fields.additional.placement"].endswith(
        "saga_id:header:saga-id,aggregate_type:header:aggregate-type,causation_id:header:causation-id"
    )
    assert router["table.fields.additional.error.on.missing"] == "false"
    assert router["snapshot.select.statement.overrides.orders.events"].endswith(
        "ORDER BY aggregate_type, aggregate_id, aggregate_version"
    )
    assert EVENTS.topics == ("orders.Order",)


def test_with_a_directory_the_configuration_holds_no_password() -> None:
    made = connector_config(OUTBOX, DATABASE, CREDENTIALS, row_filter=ROW_FILTER)

    assert "hush" not in json.dumps(made)
    assert made["database.password"] == "${directory:/etc/kompensa/capture:shop.orders.password}"


def test_inline_credentials_differ_in_nothing_else() -> None:
    named = connector_config(OUTBOX, DATABASE, Directory(path="/d", key="k"), row_filter=ROW_FILTER)
    inline = connector_config(OUTBOX, DATABASE, Inline(), row_filter=ROW_FILTER)

    assert {key for key in named if named[key] != inline[key]} == {"database.user", "database.password"}
    assert (inline["database.user"], inline["database.password"]) == ("capture", "hush")


@pytest.mark.parametrize(
    ("credentials", "login", "known"),
    [
        (Directory(path="/d", key="k"), ("capture", "hush"), DATABASE),
        (Directory(path="/d", key="k"), None, None),
        (Inline(), None, DATABASE),
    ],
    ids=["named, with the login at hand", "named only", "spelled out"],
)
def test_the_database_can_be_read_from_the_configuration(
    credentials: Credentials, login: tuple[str, str] | None, known: Database | None
) -> None:
    assert database_of_connector(connector_config(OUTBOX, DATABASE, credentials, row_filter=ROW_FILTER), login) == known


def test_a_configuration_without_a_database_has_none() -> None:
    assert database_of_connector({"database.port": "5432"}, ("capture", "hush")) is None
