"""The installation's part of every worker: image, brokers, and how its pod is pulled, placed and bounded.

The pod's part comes as JSON from the chart, in the words of a Kubernetes pod. It is read once at start: the API server
would refuse a wrong field only when the first Replica is made, and then once for each of them.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Quantity = str | int | float


class _PodField(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    pass


class PullSecret(_PodField, frozen=True, kw_only=True):
    """A Secret of the worker's own namespace; pods cannot name one of another."""

    name: str


class Toleration(_PodField, frozen=True, kw_only=True):
    key: str | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class Resources(_PodField, frozen=True, kw_only=True):
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}


class WorkerPod(_PodField, frozen=True, kw_only=True):
    """How a worker's pod is pulled, placed and bounded; the chart's values have the same defaults."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[PullSecret] = []
    resources: Resources = Resources(requests={"cpu": "20m", "memory": "96Mi"}, limits={"memory": "256Mi"})
    node_selector: dict[str, str] = {}
    tolerations: list[Toleration] = []

    def scheduling(self) -> dict[str, Any]:
        """Fields of the pod's spec; what is empty is left out."""
        fields = {
            "imagePullSecrets": self.image_pull_secrets,
            "nodeSelector": self.node_selector,
            "tolerations": self.tolerations,
        }
        return {name: msgspec.to_builtins(value) for name, value in fields.items() if value}


@dataclass(frozen=True, kw_only=True)
class WorkerSite:
    """The settings that all workers share."""

    image: str
    kafka: str
    pod: WorkerPod
    tracing_endpoint: str = ""
