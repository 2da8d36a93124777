"""The reference system: how it keeps data apart, scales each service alone, and takes its objects from plain files."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import inventory.reactions
import invoices.reactions
import orders.reactions
import payments.reactions
import shipping.reactions
from charts.tests.rendering import Helm, Object, RefusedError, Rendering
from kompensa_cdc.capture.naming import replication_name
from tests.support.services import SERVICES

MANIFESTS = Path(__file__).parents[2] / "manifests/shop"
PUBLISHERS = ("orders", "inventory", "payments", "invoices", "shipping", "catalog")
REACTIONS = {
    "orders": orders.reactions.reactions,
    "inventory": inventory.reactions.reactions,
    "payments": payments.reactions.reactions,
    "invoices": invoices.reactions.reactions,
    "shipping": shipping.reactions.reactions,
}
OWN_KINDS = ("Participant", "SagaDefinition", "Outbox", "Replica")


def files() -> list[Object]:
    return [d for path in sorted(MANIFESTS.glob("*.yaml")) for d in yaml.safe_load_all(path.read_text())]


def changed(helm: Helm, before: Object, after: Object) -> set[str]:
    """The objects that differ between two sets of values, without Secrets: each rendering makes new passwords."""
    old, new = helm.render("shop", before).documents(), helm.render("shop", after).documents()
    names = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return {name for name in names if not name.startswith("Secret/")}


def test_by_default_each_service_has_a_server_of_its_own(helm: Helm) -> None:
    shop = helm.render("shop")
    assert {item["metadata"]["name"] for item in shop.of("StatefulSet")} == {f"{name}-postgres" for name in SERVICES}
    for name in SERVICES:
        login = shop.one("Secret", f"{name}-postgres")["stringData"]
        assert (login["host"], login["database"], login["username"]) == (f"{name}-postgres.shop.svc", name, name)


def test_one_value_puts_them_into_schemas_of_one_server(helm: Helm) -> None:
    shop = helm.render("shop", {"isolation": "schema"})
    assert [item["metadata"]["name"] for item in shop.of("StatefulSet")] == ["shop-postgres"]
    for name in SERVICES:
        login = shop.one("Secret", f"{name}-postgres")["stringData"]
        assert (login["host"], login["database"], login["username"]) == ("shop-postgres.shop.svc", "shop", name)


@pytest.mark.parametrize("isolation", ["instance", "schema"])
def test_the_services_cannot_tell_the_isolation(helm: Helm, isolation: str) -> None:
    shop = helm.render("shop", {"isolation": isolation})
    for name in SERVICES:
        url = shop.pod("Deployment", name).environment()["DATABASE_URL"]["valueFrom"]["secretKeyRef"]
        assert url == {"name": f"{name}-serving", "key": "url"}
    for name in PUBLISHERS:
        capture = shop.pod("Deployment", name).environment()["CAPTURE_ROLE"]["valueFrom"]["secretKeyRef"]
        assert capture == {"name": f"{name}-capture", "key": "username"}


@pytest.mark.parametrize("namespace", ["shop", "a-shop", "shop-" + "x" * 58])
def test_the_publication_that_a_shared_database_holds_ready_has_the_operators_name(helm: Helm, namespace: str) -> None:
    shop = helm.render("shop", {"isolation": "schema"}, namespace=namespace)
    script = shop.one("ConfigMap", "shop-postgres")["data"]["provision.sql"]
    for outbox in [item["metadata"]["name"] for item in files() if item["kind"] == "Outbox"]:
        assert f'CREATE PUBLICATION "{replication_name(namespace, outbox)}"' in script


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"replicas": 3}, {"Deployment/inventory"}),
        ({"pool": {"max": 25}}, {"Deployment/inventory"}),
        ({"resources": {"limits": {"memory": "1Gi"}}}, {"Deployment/inventory"}),
        ({"database": {"instance": {"storage": {"size": "50Gi"}}}}, {"PersistentVolumeClaim/inventory-postgres-data"}),
        (
            {"database": {"instance": {"settings": {"maxConnections": 200}}}},
            {"StatefulSet/inventory-postgres", "ConfigMap/inventory-postgres"},
        ),
    ],
)
def test_scaling_one_service_leaves_the_others_as_they_were_to_the_byte(
    helm: Helm, change: Object, kinds: set[str]
) -> None:
    assert changed(helm, {}, {"services": {"inventory": change}}) == kinds


OUR_ORDERS = {
    "bundled": False,
    "existingSecret": {"name": "our-orders", "keys": {"url": "uri"}},
    "existingCaptureSecret": {"name": "our-capture", "keys": {"username": "user"}},
}


def test_a_service_with_a_database_elsewhere_gets_no_server(helm: Helm) -> None:
    shop = helm.render("shop", {"services": {"orders": {"database": OUR_ORDERS}}})
    assert not shop.has("StatefulSet", "orders-postgres")
    assert shop.has("StatefulSet", "payments-postgres")
    outbox = shop.one("Outbox", "orders")["spec"]
    assert outbox["databaseSecretRef"] == {"name": "our-orders", "keys": {"url": "uri"}}
    assert outbox["captureSecretRef"] == {"name": "our-capture", "keys": {"url": "url"}}
    assert secret_keys(shop, "orders") == {
        "DATABASE_URL": ("our-orders", "uri"),
        "CAPTURE_ROLE": ("our-capture", "user"),
    }


def test_a_bundled_server_can_have_logins_of_ones_own(helm: Helm) -> None:
    own = {**OUR_ORDERS, "bundled": True, "instance": {"superuser": {"existingSecret": {"name": "our-admin"}}}}
    shop = helm.render("shop", {"services": {"orders": {"database": own}}})
    assert shop.has("StatefulSet", "orders-postgres")
    assert not [item for item in shop.of("Secret") if item["metadata"]["name"] in ("orders-postgres", "orders-capture")]
    assert secret_keys(shop, "orders")["DATABASE_URL"] == ("our-orders", "uri")
    script = shop.one("ConfigMap", "orders-postgres")["data"]["provision.sql"]
    assert {"/etc/logins/our-orders/password", "/etc/logins/our-capture/password"} <= set(
        script.replace("`", " ").split()
    )


def test_a_secret_without_a_url_serves_with_its_parts(helm: Helm) -> None:
    """As the operators of some databases write it; libpq reads these variables itself."""
    keys = {"url": "", "database": "dbname", "username": "user"}
    capture = {"name": "our-capture"}
    own = {"bundled": False, "existingSecret": {"name": "our-shipping", "keys": keys}, "existingCaptureSecret": capture}
    shop = helm.render("shop", {"services": {"shipping": {"database": own}}})
    assert shop.pod("Deployment", "shipping").environment()["DATABASE_URL"]["value"] == "postgresql://"
    assert secret_keys(shop, "shipping") == {
        "PGHOST": ("our-shipping", "host"),
        "PGPORT": ("our-shipping", "port"),
        "PGDATABASE": ("our-shipping", "dbname"),
        "PGUSER": ("our-shipping", "user"),
        "PGPASSWORD": ("our-shipping", "password"),
        "CAPTURE_ROLE": ("our-capture", "username"),
    }


def secret_keys(shop: Rendering, service: str) -> dict[str, tuple[str, str]]:
    """Secret and key of each variable that comes from one."""
    variables = shop.pod("Deployment", service).environment().items()
    references = {name: entry["valueFrom"]["secretKeyRef"] for name, entry in variables if "valueFrom" in entry}
    return {name: (reference["name"], reference["key"]) for name, reference in references.items()}


def test_a_server_elsewhere_needs_a_role_that_captures(helm: Helm) -> None:
    own = {"bundled": False, "existingSecret": {"name": "our-orders"}}
    with pytest.raises(RefusedError, match=r"existingCaptureSecret\.name is needed"):
        helm.render("shop", {"services": {"orders": {"database": own}}})


def test_a_replica_writes_with_the_login_of_the_service_that_reads_it(helm: Helm) -> None:
    own = {"services": {"invoices": {"database": {"existingSecret": {"name": "our-invoices"}}}}}
    shop = helm.render("shop", own)
    logins = {
        item["metadata"]["name"]: item["spec"]["target"]["databaseSecretRef"]["name"] for item in shop.of("Replica")
    }
    assert logins == {
        "invoices-customers": "our-invoices",
        "shipping-customers": "shipping-postgres",
        "orders-products": "orders-postgres",
        "inventory-products": "inventory-postgres",
        "payments-customers": "payments-postgres",
    }


def test_custom_resources_name_the_keys_of_a_secret_without_a_url(helm: Helm) -> None:
    keys = {"url": "", "database": "dbname", "username": "user"}
    login = {"name": "our", "keys": keys}
    own = {"bundled": False, "existingSecret": login, "existingCaptureSecret": login}
    shop = helm.render("shop", {"services": {name: {"database": own} for name in ("orders", "invoices")}})
    outbox = shop.one("Outbox", "orders")["spec"]
    replica = shop.one("Replica", "invoices-customers")["spec"]["target"]
    parts = {"host": "host", "port": "port", "database": "dbname", "username": "user", "password": "password"}
    for reference in (outbox["databaseSecretRef"], outbox["captureSecretRef"], replica["databaseSecretRef"]):
        assert reference == {"name": "our", "keys": parts}


def test_the_objects_are_those_of_the_manifests(helm: Helm) -> None:
    shop = helm.render("shop", namespace="crm")
    rendered = {(item["kind"], item["metadata"]["name"]): item for item in shop.of(*OWN_KINDS)}
    assert rendered.keys() == {(item["kind"], item["metadata"]["name"]) for item in files()}
    for item in files():
        found = rendered[item["kind"], item["metadata"]["name"]]
        assert found["metadata"]["namespace"] == "crm"
        expected: Any = item["spec"]
        if item["kind"] == "Participant":
            expected = {**expected, "url": f"http://{item['metadata']['name']}.crm.svc:8080"}
        assert found["spec"] == expected


def test_a_second_shop_on_the_same_kafka_has_topics_of_its_own(helm: Helm) -> None:
    first, second = (helm.render("shop", {"kompensa": {"topicPrefix": prefix}}) for prefix in ("", "staging."))
    # No service waits for a parcel that is prepared.
    assert topics_written(first) - topics_read(first) == {"shipping.shipment-prepared"}
    assert topics_read(first) <= topics_written(first)
    assert topics_written(second) == {f"staging.{topic}" for topic in topics_written(first)}
    assert topics_read(second) == {f"staging.{topic}" for topic in topics_read(first)}


def test_without_the_kinds_no_service_reads_events(helm: Helm) -> None:
    """Their topics are made by Outboxes."""
    shop = helm.render("shop", {"kompensa": {"enabled": False}})
    assert not any("KOMPENSA_KAFKA" in shop.pod("Deployment", name).environment() for name in SERVICES)


def topics_written(shop: Rendering) -> set[str]:
    specs = [item["spec"] for item in shop.of("Outbox")]
    return {
        f"{spec['topicPrefix']}.{type_}" for spec in specs for type_ in spec.get("events") or spec["aggregateTypes"]
    }


def test_both_tables_of_orders_are_captured_with_the_logins_of_orders(helm: Helm) -> None:
    own = {"bundled": False, "existingSecret": {"name": "our"}, "existingCaptureSecret": {"name": "our-capture"}}
    for values in ({}, {"services": {"orders": {"database": own}}}):
        shop = helm.render("shop", values)
        outbox, events = (shop.one("Outbox", name)["spec"] for name in ("orders", "order-events"))
        for reference in ("databaseSecretRef", "captureSecretRef"):
            assert outbox[reference] == events[reference]
        assert (outbox["table"], events["table"]) == ("orders.outbox", "orders.events")


def topics_read(shop: Rendering) -> set[str]:
    copied = {topic for item in shop.of("Replica") for topic in item["spec"]["source"]["topics"]}
    return copied | {topic for name in REACTIONS for topic in reactions_of(shop, name)}


def reactions_of(shop: Rendering, name: str) -> tuple[str, ...]:
    """The topics that a service's reactions read under the environment of its pod."""
    prefix = shop.pod("Deployment", name).environment()["TOPIC_PREFIX"]["value"]
    return REACTIONS[name].prefixed(prefix).topics


def test_reactions_of_two_shops_are_two_consumer_groups_and_those_of_other_kafkas_lead_there(helm: Helm) -> None:
    kafka = {"kafka": {"bootstrap": "one:9092,two:9092"}}
    for namespace, values, bootstrap in (
        ("shop", {}, "backbone-kafka.kompensa-system.svc:9092"),
        ("crm", kafka, "one:9092,two:9092"),
    ):
        shop = helm.render("shop", values, namespace=namespace)
        for name in SERVICES:
            environment = shop.pod("Deployment", name).environment()
            if name in REACTIONS:
                assert environment["REACTIONS_GROUP"]["value"] == f"kompensa-reactions.{namespace}.{name}"
                assert environment["KOMPENSA_KAFKA"]["value"] == bootstrap
            else:
                assert "KOMPENSA_KAFKA" not in environment


def test_an_uninstall_leaves_the_outbox_whose_slot_belongs_to_the_data(helm: Helm) -> None:
    kept = {
        item["kind"]
        for item in helm.render("shop").of(*OWN_KINDS)
        if (item["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") == "keep"
    }
    assert kept == {"Outbox"}


def test_participants_are_where_the_services_listen(helm: Helm) -> None:
    shop = helm.render("shop")
    for participant in shop.of("Participant"):
        name = participant["metadata"]["name"]
        ports = [port["port"] for port in shop.one("Service", name)["spec"]["ports"]]
        assert participant["spec"]["url"] == f"http://{name}.shop.svc:{ports[0]}"


def test_the_copies_hold_exactly_the_declared_fields(helm: Helm) -> None:
    """The fields of customers (S20, S21) and of products that each service keeps, next to key, version and times."""
    columns = {
        item["metadata"]["name"]: {column["name"] for column in item["spec"]["target"]["columns"]}
        for item in helm.render("shop").of("Replica")
    }
    assert columns == {
        "invoices-customers": {"email", "document", "full_name", "billing_address"},
        "shipping-customers": {"email", "full_name", "phone", "shipping_address"},
        "orders-products": {"name", "price", "currency", "status"},
        "inventory-products": {"name"},
        "payments-customers": {"payment_methods"},
    }


def test_the_fault_switch_is_off_unless_asked_for(helm: Helm) -> None:
    for values, expected in (({}, "false"), ({"faults": {"enabled": True}}, "true")):
        shop = helm.render("shop", values)
        for name in SERVICES:
            assert shop.pod("Deployment", name).environment()["FAULTS_ENABLED"]["value"] == expected


def test_a_service_migrates_before_it_serves_and_leaves_in_good_order(helm: Helm) -> None:
    shop = helm.render("shop")
    for name in SERVICES:
        spec = shop.pod("Deployment", name).spec
        assert [container["args"] for container in spec["initContainers"]] == [["migrate", "--wait", "120"]]
        differing = {"DATABASE_URL", "SERVING_ROLE", "CALLER_TOKENS_DIR"}
        migrating, serving = (
            [variable for variable in container["env"] if variable["name"] not in differing]
            for container in (spec["initContainers"][0], spec["containers"][0])
        )
        assert migrating == serving
        assert spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] < spec["terminationGracePeriodSeconds"]
        assert shop.one("Deployment", name)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.mark.parametrize("isolation", ["instance", "schema"])
def test_one_role_migrates_and_another_serves(helm: Helm, isolation: str) -> None:
    shop = helm.render("shop", {"isolation": isolation})
    for name in SERVICES:
        spec = shop.pod("Deployment", name).spec
        assert logins_of(spec["initContainers"][0]) == {
            "DATABASE_URL": (f"{name}-postgres", "url"),
            "SERVING_ROLE": (f"{name}-serving", "username"),
        }
        assert logins_of(spec["containers"][0]) == {"DATABASE_URL": (f"{name}-serving", "url")}
        assert shop.one("Secret", f"{name}-serving")["stringData"]["username"] == f"{name}_serving"
        server = f"{name}-postgres" if isolation == "instance" else "shop-postgres"
        script = shop.one("ConfigMap", server)["data"]["provision.sql"]
        assert f'ALTER ROLE "{name}_serving" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION' in script


def test_a_login_of_the_users_serves_too_unless_there_is_a_second_one(helm: Helm) -> None:
    capture = {"name": "our-capture"}
    own = {"bundled": False, "existingSecret": {"name": "our-payments"}, "existingCaptureSecret": capture}
    spec = helm.render("shop", {"services": {"payments": {"database": own}}}).pod("Deployment", "payments").spec
    for container in (spec["initContainers"][0], spec["containers"][0]):
        assert logins_of(container) == {"DATABASE_URL": ("our-payments", "url")}
    second = {**own, "existingServingSecret": {"name": "our-serving", "keys": {"url": "uri", "username": "user"}}}
    spec = helm.render("shop", {"services": {"payments": {"database": second}}}).pod("Deployment", "payments").spec
    assert logins_of(spec["initContainers"][0])["SERVING_ROLE"] == ("our-serving", "user")
    assert logins_of(spec["containers"][0]) == {"DATABASE_URL": ("our-serving", "uri")}


def logins_of(container: Object) -> dict[str, tuple[str, str]]:
    """Secret and key of the database's URL and of the serving role."""
    references = {
        variable["name"]: variable["valueFrom"]["secretKeyRef"]
        for variable in container["env"]
        if variable["name"] in ("DATABASE_URL", "SERVING_ROLE")
    }
    return {name: (reference["name"], reference["key"]) for name, reference in references.items()}


def test_without_the_kinds_the_services_stand_alone(helm: Helm) -> None:
    assert not helm.render("shop", {"kompensa": {"enabled": False}}).of(*OWN_KINDS)
