"""The kinds of pods that a run can kill, by their usual names."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.cluster import SHOP, SYSTEM
from tests.support.services import SERVICES

SERVICE_PODS = "app.kubernetes.io/component=service"


@dataclass(frozen=True)
class Victim:
    """Pods that are killed together."""

    name: str
    namespace: str
    selector: str


def _system(name: str, component: str) -> Victim:
    return Victim(name, SYSTEM, f"app.kubernetes.io/component={component}")


VICTIMS = {
    victim.name: victim
    for victim in (
        _system("engine", "engine"),
        _system("operator", "operator"),
        _system("journal-postgres", "postgres"),
        _system("kafka", "kafka"),
        _system("connect", "connect"),
        *(
            Victim(name, SHOP, f"app.kubernetes.io/name={name},app.kubernetes.io/component=service")
            for name in SERVICES
        ),
        *(
            Victim(
                f"{name}-postgres", SHOP, f"app.kubernetes.io/name={name}-postgres,app.kubernetes.io/component=postgres"
            )
            for name in SERVICES
        ),
        Victim("replica-workers", SHOP, "app.kubernetes.io/component=replica"),
    )
}
