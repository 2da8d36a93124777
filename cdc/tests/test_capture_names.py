import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompensa_cdc.capture import InvalidOutboxError, outbox_from_object
from kompensa_cdc.capture.naming import connector_name, replication_name

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


def test_usual_names_are_plain() -> None:
    assert connector_name("shop", "orders") == "shop-orders"
    assert replication_name("shop", "orders") == "kompensa_shop_orders"


@given(LABEL, LABEL)
def test_postgresql_accepts_every_name(namespace: str, name: str) -> None:
    assert re.fullmatch(r"[a-z0-9_]{1,63}", replication_name(namespace, name))
    assert len(connector_name(namespace, name)) <= 63


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a-b", "c"), ("a", "b-c")),
        (("shop", "x" * 80), ("shop", "x" * 79 + "y")),
        (("shop", "a.b"), ("shop", "a-b")),
    ],
)
def test_two_outboxes_never_share_a_slot(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert replication_name(*one) != replication_name(*other)
    assert connector_name(*one) != connector_name(*other)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"table": "outbox"}, "spec.table: 'outbox' is not a table"),
        ({"table": 'orders.outbox"; --'}, "spec.table"),
        ({"topicPrefix": "or ders"}, "spec.topicPrefix: 'or ders' cannot be part of a topic's name"),
        ({"events": ["customer created"]}, "spec.events"),
        ({"partitions": 0}, "spec.partitions: 0 is out of range"),
        ({"route": "ByMoon"}, "spec.route: 'ByMoon' is unknown"),
        ({"events": []}, "spec.events"),
        ({"aggregateTypes": ["Order"]}, "spec.aggregateTypes"),
        ({"route": "ByAggregateType"}, "spec.events"),
        ({"columns": {"key": "k"}}, "spec.columns.key: unknown"),
        ({"columns": {"aggregateId": 'a"; --'}}, "spec.columns.aggregateId"),
        ({"columns": {"aggregateId": "id"}}, "column id has 2 meanings"),
        ({"retention": "a week"}, "spec.retention: 'a week' is not a duration"),
    ],
)
def test_an_outbox_that_cannot_be_captured_is_rejected_with_its_field(spec: dict[str, object], complaint: str) -> None:
    good: dict[str, object] = {"table": "orders.outbox", "topicPrefix": "orders", "events": ["customer-created"]}
    with pytest.raises(InvalidOutboxError, match=complaint):
        outbox_from_object("shop", "orders", good | spec)


@pytest.mark.parametrize(("types", "complaint"), [([], "spec.aggregateTypes"), (["an order"], "spec.aggregateTypes")])
def test_the_route_by_aggregate_type_needs_types_that_can_end_a_topics_name(types: list[str], complaint: str) -> None:
    spec = {"table": "o.events", "topicPrefix": "o", "route": "ByAggregateType", "aggregateTypes": types}
    with pytest.raises(InvalidOutboxError, match=complaint):
        outbox_from_object("shop", "orders", spec)


def test_columns_are_named_by_their_meaning() -> None:
    spec = {"table": "o.events", "topicPrefix": "o", "events": ["made"], "columns": {"aggregateId": "stream"}}
    columns = outbox_from_object("shop", "orders", spec).columns
    assert (columns.aggregate_id, columns.event_type) == ("stream", "event_type")
