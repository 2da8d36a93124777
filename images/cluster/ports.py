"""The ports of this machine that manifests/kind/cluster.yaml publishes.

A cluster can be healthy and yet not be reached: made when the file named other ports, or with a port that another
process holds. So the ports are looked at before a cluster is made, and again on one that is found.
"""

import json
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from images.cluster.listeners import Listener, listener_on
from images.setup.errors import SetupError

MAPPING = re.compile(r"\{listenAddress: ([0-9.]+), hostPort: (\d+), containerPort: (\d+)\}(?:\s*#\s*(.+))?")
# Programs that hold a published port for the engine, by the names that the kernel shows (15 characters).
ENGINE_PROGRAMS = ("conmon", "docker", "rootless", "slirp4netns", "pasta", "exe", "com.docker")


@dataclass(frozen=True)
class HostPort:
    """One published port: where it is here, where on the node, and what answers there."""

    address: str
    number: int
    node_port: int
    purpose: str

    def __str__(self) -> str:
        return f"{self.address}:{self.number}"


def ports_of(config: str) -> list[HostPort]:
    """The published ports of a kind configuration, each written on a line of its own in braces.

    Raises
    ------
    SetupError
        When one is written another way: one that is overlooked would not be checked.
    """
    found = [HostPort(at, int(here), int(there), name or "") for at, here, there, name in MAPPING.findall(config)]
    if len(found) != config.count("hostPort:"):
        raise SetupError(
            "manifests/kind/cluster.yaml: write each port as {listenAddress: .., hostPort: .., containerPort: ..}"
        )
    return found


def require_free(ports: Iterable[HostPort]) -> None:
    """Make sure that a new cluster can have the ports.

    Raises
    ------
    SetupError
        Naming each port that is taken, by whom if that can be seen, and what to do.
    """
    taken = [port for port in ports if not is_free(port)]
    if taken:
        raise SetupError(_taken((port, listener_on(port.number)) for port in taken))


def is_free(port: HostPort) -> bool:
    """Whether a server could listen there now; connections of an earlier one that still fade away do not matter."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.address, port.number))
            probe.listen(1)
        except OSError:
            return False
    return True


def require_ours(ports: Iterable[HostPort]) -> None:
    """Make sure that only the engine listens on a running cluster's ports.

    Raises
    ------
    SetupError
        As `require_free`. The cluster is left as it is: a new one could not have the port either.
    """
    held = [(port, listener) for port in ports if (listener := listener_on(port.number)) and not _of_engine(listener)]
    if held:
        raise SetupError(_taken(held))


def unpublished(ports: Sequence[HostPort], published: str) -> list[HostPort]:
    """Ports that the engine does not publish, given its `.NetworkSettings.Ports` of a running node as JSON."""
    bindings = json.loads(published) or {}
    return [port for port in ports if str(port.number) not in _host_ports(bindings, port)]


def _host_ports(bindings: dict[str, list[dict[str, str]] | None], port: HostPort) -> set[str]:
    return {binding["HostPort"] for binding in bindings.get(f"{port.node_port}/tcp") or []}


def _of_engine(listener: Listener) -> bool:
    return listener.program.startswith(ENGINE_PROGRAMS)


def _taken(held: Iterable[tuple[HostPort, Listener | None]]) -> str:
    named = [
        f"{port}{f' ({port.purpose})' if port.purpose else ''} by {listener or 'a process that this user cannot see'}"
        for port, listener in held
    ]
    return (
        f"ports that the cluster publishes are taken: {'; '.join(named)}. "
        "Stop what holds them, or change hostPort in manifests/kind/cluster.yaml, and run this again"
    )
