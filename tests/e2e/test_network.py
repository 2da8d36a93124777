"""Nothing of the cluster reaches the network card. Routes are asked for with `ip route get`, which sends nothing."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from dataclasses import dataclass

import pytest

from images.cluster import ports
from images.cluster.kind import CONFIG, NODE
from images.setup import engine as engines
from images.setup.cache import Cache, default_root
from images.setup.engine import Engine
from tests.support.cluster import SHOP, Cluster

# Addresses that are reserved for documentation (RFC 5737, RFC 3849): no host has them.
OUTSIDE = ("192.0.2.1", "198.51.100.7", "203.0.113.9")
OUTSIDE_V6 = "2001:db8::1"
PODS, SERVICES = ipaddress.ip_network("10.244.0.0/16"), ipaddress.ip_network("10.96.0.0/16")


@dataclass(frozen=True)
class Node:
    """Commands on the node, through the engine that runs it."""

    engine: Engine

    def run(self, *command: str) -> str | None:
        """Return the output, or None if the command failed, as `ip route get` does for an address without a route."""
        return self.engine.ask("exec", NODE, *command)

    def route(self, address: str, *options: str) -> str | None:
        return self.run("ip", "route", "get", address, *options)

    def uplinks(self) -> set[str]:
        """The interfaces with an address that is neither loopback, nor a pod's, nor a Service's: the ways out."""
        found = set()
        for line in (self.run("ip", "-oneline", "-4", "address", "show") or "").splitlines():
            _, name, _, address = line.split()[:4]
            ip = ipaddress.ip_interface(address).ip
            if not ip.is_loopback and ip not in PODS and ip not in SERVICES:
                found.add(name)
        return found


@pytest.fixture(scope="module")
def node(cluster: Cluster) -> Node:
    found = engines.detect(Cache(default_root(os.environ)))
    assert found is not None
    return Node(found)


def pod_address(cluster: Cluster, name: str) -> str:
    return str(cluster.pods(SHOP, f"app.kubernetes.io/name={name}")[0]["status"]["podIP"])


def test_the_node_has_no_default_route(node: Node) -> None:
    assert node.run("ip", "route", "show", "default") == ""
    assert node.run("ip", "-6", "route", "show", "default") == ""
    assert node.uplinks(), "it has an interface by which packets could leave"


@pytest.mark.parametrize("address", OUTSIDE)
def test_no_outside_address_has_a_route_from_the_node(node: Node, address: str) -> None:
    assert node.route("127.0.0.1") is not None, "the question can be asked at all"
    assert node.route(address) is None


def test_no_outside_address_has_a_route_by_ipv6_either(node: Node) -> None:
    assert node.run("ip", "-6", "route", "get", OUTSIDE_V6) is None


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_node_forwards_no_pods_packet_to_the_outside(cluster: Cluster, node: Node, address: str) -> None:
    """The question as the kernel asks itself when a pod's packet arrives."""
    pod = pod_address(cluster, "orders")
    arrival = arriving_from(node, pod)
    assert node.route(pod_address(cluster, "invoices"), *arrival) is not None, "pods reach each other"
    assert node.route(address, *arrival) is None


def arriving_from(node: Node, pod: str) -> tuple[str, ...]:
    route = node.route(pod)
    assert route is not None
    device = re.search(r"dev (\S+)", route)
    assert device is not None
    return ("from", pod, "iif", device[1])


def test_pods_hand_everything_to_the_node(node: Node) -> None:
    """Each pod has its own routes: whatever it sends goes to the node, which forwards nothing to the outside."""
    namespaces = [line.split()[0] for line in (node.run("ip", "netns", "list") or "").splitlines()]
    assert namespaces
    for name in namespaces:
        route = node.run("ip", "netns", "exec", name, "ip", "route", "get", OUTSIDE[0])
        gateway = re.search(r"via (\S+)", route) if route else None
        assert gateway is None or ipaddress.ip_address(gateway[1]) in PODS, route


def test_addresses_of_pods_and_services_stay_inside(node: Node, cluster: Cluster) -> None:
    """Also of pods and Services that are not there (any more)."""
    service = cluster.kubectl.json("get", "service", "-n", SHOP, "orders")["spec"]["clusterIP"]
    for address in (pod_address(cluster, "orders"), "10.244.0.250", "10.244.200.1", service, "10.96.254.254"):
        route = node.route(address)
        device = re.search(r"dev (\S+)", route) if route else None
        assert device is None or device[1] not in node.uplinks(), route


def test_lookups_that_the_cluster_cannot_answer_go_nowhere(node: Node) -> None:
    servers = re.findall(r"^nameserver (\S+)", node.run("cat", "/etc/resolv.conf") or "", re.MULTILINE)
    assert servers
    assert [server for server in servers if node.route(server) is not None] == []


def test_every_published_port_is_on_loopback(node: Node) -> None:
    published = json.loads(node.engine.ask("inspect", "--format", "{{json .NetworkSettings.Ports}}", NODE) or "{}")
    bindings = [binding for entry in published.values() for binding in entry or []]
    assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}
    assert ports.unpublished(ports.ports_of(CONFIG.read_text()), json.dumps(published)) == []
