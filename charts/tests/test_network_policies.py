"""Which pods may talk to each other. The demo's cluster does not enforce the policies, so these tests judge them."""

from dataclasses import dataclass

import pytest

from charts.tests.network import WORKER, Party, may_talk, policies_of
from charts.tests.rendering import INSTALLED, MATRIX, Helm, Object, Rendering
from tests.support.services import SERVICES

STRANGER = Party({"app": "stranger"}, "default", {})


@dataclass(frozen=True)
class Stack:
    """The three charts as they are installed together."""

    kompensa: Rendering
    backbone: Rendering
    shop: Rendering

    def party(self, name: str) -> Party:
        """A pod by its owner's name, such as orders or orders-postgres."""
        for rendering in (self.kompensa, self.backbone, self.shop):
            for pod in rendering.pods():
                if pod.serving and pod.owner["metadata"]["name"] == name:
                    return Party.of(pod)
        raise LookupError(name)

    def talk(self, source: str | Party, target: str | Party, port: int) -> bool:
        parties = [party if isinstance(party, Party) else self.party(party) for party in (source, target)]
        return may_talk(parties[0], parties[1], port, self.kompensa, self.backbone, self.shop)


def stack(helm: Helm, **shop: object) -> Stack:
    return Stack(helm.render("kompensa"), helm.render("backbone"), helm.render("shop", shop))


@pytest.mark.parametrize(("chart", "values"), MATRIX)
def test_every_serving_pod_is_closed_both_ways(helm: Helm, chart: str, values: Object) -> None:
    rendering = helm.render(chart, values)
    for pod in rendering.pods():
        if pod.serving:
            policies = policies_of(Party.of(pod), rendering)
            assert [policy["spec"]["policyTypes"] for policy in policies] == [["Ingress", "Egress"]], pod.name


@pytest.mark.parametrize("chart", INSTALLED)
def test_policies_can_be_left_out(helm: Helm, chart: str) -> None:
    off = {"networkPolicy": {"enabled": False}}
    values = {**off, "postgres": off} if chart == "kompensa" else off
    assert not helm.render(chart, values).of("NetworkPolicy")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_its_own_database_and_no_other(helm: Helm, service: str) -> None:
    whole = stack(helm)
    reached = {other for other in SERVICES if whole.talk(service, f"{other}-postgres", 5432)}
    assert reached == {service}
    assert not whole.talk(service, "kompensa-postgres", 5432)


def test_in_schema_mode_all_services_reach_the_one_database(helm: Helm) -> None:
    whole = stack(helm, isolation="schema")
    assert all(whole.talk(service, "shop-postgres", 5432) for service in SERVICES)


def test_a_replica_worker_reaches_kafka_and_the_database_it_writes(helm: Helm) -> None:
    whole = stack(helm)
    assert {name for name in SERVICES if whole.talk(WORKER, f"{name}-postgres", 5432)} == {"invoices"}
    assert whole.talk(WORKER, "backbone-kafka", 9092)
    assert not whole.talk(WORKER, "orders", 8080)
    assert whole.talk("kompensa-operator", WORKER, 8080)


def test_capture_reaches_the_databases_with_an_outbox(helm: Helm) -> None:
    whole = stack(helm)
    for captor in ("kompensa-operator", "backbone-connect"):
        reached = {name for name in SERVICES if whole.talk(captor, f"{name}-postgres", 5432)}
        assert reached == set(SERVICES)


def test_services_that_react_to_events_reach_kafka_and_no_other_service(helm: Helm) -> None:
    whole = stack(helm)
    reading = {name for name in SERVICES if whole.talk(name, "backbone-kafka", 9092)}
    assert reading == {"orders", "inventory", "payments", "invoices", "shipping"}
    assert not any(whole.talk(name, other, 8080) for name in reading for other in SERVICES)


def test_the_engine_reaches_journal_and_participants(helm: Helm) -> None:
    whole = stack(helm)
    assert whole.talk("kompensa-engine", "kompensa-postgres", 5432)
    assert all(whole.talk("kompensa-engine", service, 8080) for service in SERVICES)
    assert not whole.talk("kompensa-operator", "kompensa-postgres", 5432)
    assert not whole.talk("kompensa-engine", "backbone-kafka", 9092)


def test_the_operator_reaches_engine_kafka_and_connect(helm: Helm) -> None:
    whole = stack(helm)
    assert whole.talk("kompensa-operator", "kompensa-engine", 8080)
    assert whole.talk("kompensa-operator", "backbone-kafka", 9092)
    assert whole.talk("kompensa-operator", "backbone-connect", 8083)
    assert whole.talk("backbone-connect", "backbone-kafka", 9092)


@pytest.mark.parametrize(
    ("target", "port"), [("backbone-kafka", 9092), ("backbone-connect", 8083), ("orders-postgres", 5432)]
)
def test_strangers_are_kept_out(helm: Helm, target: str, port: int) -> None:
    whole = stack(helm)
    assert not whole.talk(STRANGER, target, port)
    assert not whole.talk("catalog", target, port)


def test_databases_of_the_users_may_listen_on_other_ports(helm: Helm) -> None:
    bouncer = Party({"app": "pgbouncer"}, "data", {})
    elsewhere = {
        "bundled": False,
        "existingSecret": {"name": "our-invoices"},
        "existingCaptureSecret": {"name": "our-invoices-capture"},
    }
    own = {"services": {"invoices": {"database": elsewhere}}}
    ports = {"networkPolicy": {"databases": {"ports": [6432]}}}
    journal = {"postgres": {"enabled": False}, "journal": {"existingSecret": {"name": "our-journal"}}}
    whole = Stack(
        helm.render("kompensa", {**journal, **ports}), helm.render("backbone"), helm.render("shop", {**own, **ports})
    )
    for party in ("kompensa-engine", "invoices", WORKER):
        assert whole.talk(party, bouncer, 6432)
        assert not whole.talk(party, bouncer, 5432)
    assert whole.talk("orders", "orders-postgres", 5432)
    assert not whole.talk("orders", bouncer, 6432)


def test_the_bundled_journal_is_reached_whatever_the_ports_of_others(helm: Helm) -> None:
    kompensa = helm.render("kompensa", {"networkPolicy": {"databases": {"ports": [6432]}}})
    whole = Stack(kompensa, helm.render("backbone"), helm.render("shop"))
    assert whole.talk("kompensa-engine", "kompensa-postgres", 5432)


@pytest.mark.parametrize("chart", ["kompensa", "shop"])
def test_helms_own_test_is_let_in_beside_named_callers(helm: Helm, chart: str) -> None:
    gateway = [{"podSelector": {"matchLabels": {"app": "gateway"}}}]
    named = {"kompensa": {"apiFrom": gateway}, "shop": {"callers": gateway}}
    rendering = helm.render(chart, {"networkPolicy": named[chart]})
    served = {"kompensa": "kompensa-engine", "shop": "orders"}[chart]
    test = Party.of(rendering.pod("Job", f"{chart}-test"))
    assert may_talk(test, Party.of(rendering.pod("Deployment", served)), 8080, rendering)


def test_callers_of_services_and_api_can_be_named(helm: Helm) -> None:
    gateway = [{"podSelector": {"matchLabels": {"app": "gateway"}}}]
    whole = Stack(
        helm.render("kompensa", {"networkPolicy": {"apiFrom": gateway}}),
        helm.render("backbone"),
        helm.render("shop", {"networkPolicy": {"callers": gateway}}),
    )
    assert whole.talk(Party({"app": "gateway"}, "shop", {}), "orders", 8080)
    assert whole.talk("kompensa-engine", "orders", 8080)
    assert not whole.talk(STRANGER, "orders", 8080)
    assert whole.talk(Party({"app": "gateway"}, "kompensa-system", {}), "kompensa-engine", 8080)
    assert whole.talk("kompensa-operator", "kompensa-engine", 8080)
    assert not whole.talk(STRANGER, "kompensa-engine", 8080)


PEER = {"ipBlock": {"cidr": "10.1.2.3/32"}}
DIRECTIONS = [
    ("kompensa", "kompensa-engine", "egress", "apiServer"),
    ("kompensa", "kompensa-engine", "egress", "participants"),
    ("kompensa", "kompensa-operator", "egress", "apiServer"),
    ("kompensa", "kompensa-operator", "egress", "databases"),
    ("kompensa", "kompensa-operator", "egress", "kafka"),
    ("kompensa", "kompensa-operator", "egress", "connect"),
    ("backbone", "backbone-connect", "egress", "databases"),
    ("backbone", "backbone-connect", "egress", "kafka"),
    ("shop", "replica-invoices-customers", "egress", "kafka"),
]


@pytest.mark.parametrize(("chart", "policy", "direction", "field"), DIRECTIONS)
def test_ports_and_peers_of_each_direction_are_values(
    helm: Helm, chart: str, policy: str, direction: str, field: str
) -> None:
    rendering = helm.render(chart, {"networkPolicy": {field: {"ports": [1234], "to": [PEER]}}})
    rules = rendering.one("NetworkPolicy", policy)["spec"][direction]
    assert {"ports": [{"protocol": "TCP", "port": 1234}], "to": [PEER]} in rules


@pytest.mark.parametrize(
    ("chart", "policy", "field"),
    [
        ("kompensa", "kompensa-operator", "metricsFrom"),
        ("kompensa", "kompensa-engine", "apiFrom"),
        ("backbone", "backbone-kafka", "kafkaFrom"),
        ("backbone", "backbone-connect", "connectFrom"),
        ("shop", "orders", "callers"),
        ("shop", "replica-invoices-customers", "metricsFrom"),
    ],
)
def test_callers_are_values(helm: Helm, chart: str, policy: str, field: str) -> None:
    rules = helm.render(chart, {"networkPolicy": {field: [PEER]}}).one("NetworkPolicy", policy)["spec"]["ingress"]
    assert [rule for rule in rules if PEER in rule.get("from", [])]


@pytest.mark.parametrize("chart", ["kompensa", "backbone", "shop"])
def test_every_pod_reaches_the_clusters_dns_at_the_ports_of_the_values(helm: Helm, chart: str) -> None:
    """OpenShift's DNS listens on 5353 behind its Service, and policies see the port behind it."""
    for values, ports, peers in (
        ({}, [53, 5353], None),
        ({"networkPolicy": {"dns": {"ports": [8053], "to": [PEER]}}}, [8053], [PEER]),
    ):
        for policy in helm.render(chart, values).of("NetworkPolicy"):
            rules = policy["spec"]["egress"]
            if not rules or "postgres" in policy["metadata"]["name"]:
                continue
            assert rules[0]["ports"] == [
                {"protocol": protocol, "port": port} for port in ports for protocol in ("UDP", "TCP")
            ]
            assert rules[0].get("to") == peers


@pytest.mark.parametrize("chart", INSTALLED)
def test_address_families_of_every_service_are_values(helm: Helm, chart: str) -> None:
    families = {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}
    values = {**families, "kafka": {"external": {"enabled": True}}} if chart == "backbone" else families
    services = helm.render(chart, {**values, "postgres": families} if chart == "kompensa" else values).of("Service")
    assert services
    for service in services:
        assert service["spec"].items() >= families.items(), service["metadata"]["name"]
    for service in helm.render(chart).of("Service"):
        assert not families.keys() & service["spec"].keys()


def test_every_listener_accepts_both_families(helm: Helm) -> None:
    """Without a host, Kafka and Connect listen on all addresses of both families; so do our own processes."""
    backbone = helm.render("backbone", {"kafka": {"external": {"enabled": True}}})
    written = [text for item in backbone.of("ConfigMap") for text in item["data"].values()]
    assert "listeners=INTERNAL://:9092,CONTROLLER://localhost:9093,EXTERNAL://:19092" in written[1] + written[0]
    assert "listeners=http://:8083" in written[0] + written[1]
    for chart in INSTALLED:
        assert "0.0.0.0" not in helm.render(chart).text
