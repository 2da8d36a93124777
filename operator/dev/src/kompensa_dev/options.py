"""Options of the local stack."""

from dataclasses import dataclass
from pathlib import Path

from kompensa_dev.ports import HOST, Ports
from kompensa_dev.shop import SERVICES, Isolation

PORT_BASE = 18080
_KAFKA_OFFSET = 1012  # 19092, as on the cluster


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """How to start the stack.

    Attributes
    ----------
    port_base
        The API's port; services and Connect follow it, in the order of the cluster's published ports. None: any free
        ports, for tests.
    backbone
        Whether Kafka, Connect and the replicas are started; without them customers are not copied.
    faults
        Whether services obey the fault header.
    files
        YAML to apply in addition to the shop's own.
    """

    port_base: int | None = PORT_BASE
    isolation: Isolation = "instance"
    backbone: bool = True
    faults: bool = False
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class StackPorts:
    """One loopback port for everything that a person may want to reach."""

    api: int
    services: dict[str, int]
    connect: int
    kafka: int

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self.api}"

    @property
    def urls(self) -> dict[str, str]:
        """Base URL by name of service."""
        return {service: f"http://{HOST}:{port}" for service, port in self.services.items()}

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.kafka}"


def wanted_ports(base: int = PORT_BASE) -> StackPorts:
    """The ports as the cluster of `make up` publishes them (manifests/kind/cluster.yaml)."""
    return StackPorts(
        api=base,
        services={service: base + number for number, service in enumerate(SERVICES, start=1)},
        connect=base + len(SERVICES) + 1,
        kafka=base + _KAFKA_OFFSET,
    )


def choose_ports(ports: Ports, base: int | None) -> StackPorts:
    """Return the wanted ports; if one is not free, another in its place (`ports.moved` lists these)."""
    if base is None:
        names = {service: ports.take(service) for service in SERVICES}
        return StackPorts(ports.take("api"), names, ports.take("connect"), ports.take("kafka"))
    wanted = wanted_ports(base)
    return StackPorts(
        api=ports.take("api", wanted.api),
        services={service: ports.take(service, wanted.services[service]) for service in SERVICES},
        connect=ports.take("connect", wanted.connect),
        kafka=ports.take("kafka", wanted.kafka),
    )
