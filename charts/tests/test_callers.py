"""The services' callers: tokens for those of the access tables, and no way in for the others."""

import base64
from collections.abc import Sequence
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
import yaml

from charts.tests.cluster import namespace, present, serving
from charts.tests.network import Party, may_talk
from charts.tests.rendering import CHARTS, Helm, Object, RefusedError
from kompensa_participant import Service
from kompensa_participant.callers.access import EVERY_SERVICE, EVERYONE
from kompensa_participant.callers.tokens import LONGEST, SHORTEST
from tests.support.services import SERVICES

STRANGER = Party({"app": "stranger"}, "shop", {})


def callers_of(name: str) -> set[str]:
    """The callers in a service's access table."""
    service: Service = import_module(f"{name}.app").service
    rows = (*service.access, *EVERY_SERVICE)
    return {caller for row in rows for caller in row.callers} - {EVERYONE}


@pytest.mark.parametrize("name", SERVICES)
def test_each_caller_of_a_service_has_a_token_of_its_own(helm: Helm, name: str) -> None:
    tokens = helm.render("shop").one("Secret", f"{name}-callers")["stringData"]
    assert tokens.keys() == callers_of(name)
    assert len(set(tokens.values())) == len(tokens)
    assert all(SHORTEST <= len(token) <= LONGEST for token in tokens.values())


def test_no_two_services_share_a_token(helm: Helm) -> None:
    shop = helm.render("shop")
    tokens = [token for name in SERVICES for token in shop.one("Secret", f"{name}-callers")["stringData"].values()]
    assert len(set(tokens)) == len(tokens)


@pytest.mark.parametrize(("values", "suffix"), [({}, ""), ({name: f"our-{name}-callers" for name in SERVICES}, "our-")])
def test_a_service_reads_its_own_tokens_and_the_engine_sends_them(
    helm: Helm, values: dict[str, str], suffix: str
) -> None:
    shop = helm.render("shop", {"callers": {"existingSecrets": values}})
    for name in SERVICES:
        pod = shop.pod("Deployment", name)
        (volume,) = [volume for volume in pod.spec["volumes"] if volume["name"] == "callers"]
        assert volume["secret"] == {"secretName": f"{suffix}{name}-callers", "defaultMode": 0o440}
        (mount,) = [mount for mount in pod.containers[-1]["volumeMounts"] if mount["name"] == "callers"]
        assert mount["mountPath"] == pod.environment()["CALLER_TOKENS_DIR"]["value"]
        assert shop.has("Secret", f"{name}-callers") is (not values)
    for participant in shop.of("Participant"):
        expected = {"name": f"{suffix}{participant['metadata']['name']}-callers", "key": "engine"}
        assert participant["spec"]["tokenSecretRef"] == expected


def test_the_check_can_be_left_out(helm: Helm) -> None:
    shop = helm.render("shop", {"callers": {"enabled": False}})
    assert not [secret for secret in shop.of("Secret") if secret["metadata"]["name"].endswith("-callers")]
    for name in SERVICES:
        assert "CALLER_TOKENS_DIR" not in shop.pod("Deployment", name).environment()
    assert not [item for item in shop.of("Participant") if "tokenSecretRef" in item["spec"]]


def test_an_upgrade_keeps_the_tokens_and_adds_those_of_new_callers(helm: Helm, tmp_path: Path) -> None:
    kept = present("Secret", "orders-callers", "shop")
    kept["data"] = {"engine": base64.b64encode(b"kept-by-the-upgrade\n").decode()}
    with serving([namespace("shop"), kept], tmp_path) as kubeconfig:
        shop = helm.render_on(kubeconfig, "shop", {})
    tokens = shop.one("Secret", "orders-callers")["stringData"]
    assert tokens["engine"] == "kept-by-the-upgrade"
    assert len(tokens["backoffice"]) >= SHORTEST


def test_a_secret_for_a_service_that_does_not_exist_is_refused(helm: Helm) -> None:
    with pytest.raises(RefusedError, match=r"callers\.existingSecrets: ordres"):
        helm.render("shop", {"callers": {"existingSecrets": {"ordres": "ours"}}})


def test_a_secret_that_does_not_exist_is_named(helm: Helm, tmp_path: Path) -> None:
    with (
        serving([namespace("shop")], tmp_path) as kubeconfig,
        pytest.raises(RefusedError, match=r"callers\.existingSecrets\.orders names Secret ours"),
    ):
        helm.render_on(kubeconfig, "shop", {"callers": {"existingSecrets": {"orders": "ours"}}})


@pytest.mark.parametrize("name", SERVICES)
def test_only_declared_callers_reach_a_service(helm: Helm, name: str) -> None:
    shop, kompensa = helm.render("shop"), helm.render("kompensa")
    target = Party.of(shop.pod("Deployment", name))
    engine = Party.of(kompensa.pod("Deployment", "kompensa-engine"))
    assert may_talk(engine, target, 8080, shop, kompensa)
    others = [Party.of(shop.pod("Deployment", other)) for other in SERVICES]
    operator = Party.of(kompensa.pod("Deployment", "kompensa-operator"))
    assert not [other for other in (*others, operator, STRANGER) if may_talk(other, target, 8080, shop, kompensa)]


def test_only_the_operator_reaches_the_api_unless_callers_are_named(helm: Helm) -> None:
    shop, kompensa = helm.render("shop"), helm.render("kompensa")
    engine, operator = (
        Party.of(kompensa.pod("Deployment", f"kompensa-{process}")) for process in ("engine", "operator")
    )
    assert may_talk(operator, engine, 8080, kompensa, shop)
    assert not may_talk(Party.of(shop.pod("Deployment", "orders")), engine, 8080, kompensa, shop)
    assert not may_talk(STRANGER, engine, 8080, kompensa, shop)


@pytest.mark.parametrize(("chart", "policies"), [("shop", SERVICES), ("kompensa", ["kompensa-engine"])])
def test_the_demo_admits_the_machine_that_it_runs_on_but_no_pods(
    helm: Helm, chart: str, policies: Sequence[str]
) -> None:
    """A network plugin sees a request to a published port with the address of the host, which is not that of a pod."""
    demo = yaml.safe_load((CHARTS / chart / "values-demo.yaml").read_text())
    host, pod = ip_address("172.18.0.1"), ip_address("10.244.0.7")
    for name in policies:
        (rule,) = helm.render(chart, demo).one("NetworkPolicy", name)["spec"]["ingress"]
        blocks = [peer["ipBlock"] for peer in rule["from"] if "ipBlock" in peer]
        assert any(admits(block, host) for block in blocks), name
        assert not any(admits(block, pod) for block in blocks), name


def admits(block: Object, address: IPv4Address | IPv6Address) -> bool:
    excepted = any(address in ip_network(network) for network in block.get("except", []))
    return address in ip_network(block["cidr"]) and not excepted
