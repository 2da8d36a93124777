"""Works out from rendered NetworkPolicies which pods may talk to each other, as a network plugin would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from charts.tests.rendering import Object, Pod, Rendering


@dataclass(frozen=True)
class Party:
    """A pod as policies see it: labels, namespace and the ports it has names for."""

    labels: dict[str, str]
    namespace: str
    ports: dict[str, int]

    @classmethod
    def of(cls, pod: Pod) -> Party:
        ports = {port["name"]: port["containerPort"] for c in pod.containers for port in c.get("ports", [])}
        return cls(pod.labels, pod.owner["metadata"]["namespace"], ports)


# Made by the operator, so in no chart: the worker of Replica invoices-customers.
WORKER = Party(
    {"app.kubernetes.io/name": "kompensa-replica", "kompensa.dev/replica": "invoices-customers"}, "shop", {"http": 8080}
)


def policies_of(party: Party, *renderings: Rendering) -> list[Object]:
    return [
        policy
        for rendering in renderings
        for policy in rendering.of("NetworkPolicy")
        if policy["metadata"]["namespace"] == party.namespace and _selects(policy["spec"]["podSelector"], party.labels)
    ]


def may_talk(source: Party, target: Party, port: int, *renderings: Rendering) -> bool:
    """Whether a connection passes the source's egress and the target's ingress."""
    return _passes(source, target, port, "egress", "to", renderings) and _passes(
        target, source, port, "ingress", "from", renderings, ports_of=target
    )


def _passes(
    owner: Party,
    other: Party,
    port: int,
    direction: str,
    peers: str,
    renderings: tuple[Rendering, ...],
    ports_of: Party | None = None,
) -> bool:
    policies = [p for p in policies_of(owner, *renderings) if direction.capitalize() in p["spec"]["policyTypes"]]
    if not policies:
        return True
    rules = [(policy, rule) for policy in policies for rule in policy["spec"][direction]]
    return any(
        _port_matches(rule.get("ports"), port, ports_of)
        and (peers not in rule or any(_peer_matches(peer, other, policy) for peer in rule[peers]))
        for policy, rule in rules
    )


def _port_matches(ports: list[Object] | None, port: int, named: Party | None) -> bool:
    if ports is None:
        return True
    names = named.ports if named else {}
    return any(port == names.get(entry["port"], entry["port"]) for entry in ports if entry["protocol"] == "TCP")


def _peer_matches(peer: Object, other: Party, policy: Object) -> bool:
    if "namespaceSelector" in peer:
        in_namespace = _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
    else:
        in_namespace = other.namespace == policy["metadata"]["namespace"]
    return in_namespace and _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions), "only In is understood here"
    return wanted.items() <= labels.items() and all(labels.get(e["key"]) in e["values"] for e in expressions)
