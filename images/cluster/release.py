"""The charts on the cluster: `helm upgrade --install`, with the images that were just built as values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from images.cluster.kind import KindCluster
from images.setup.commands import Command
from images.setup.stages import Report
from images.setup.versions import CHECKOUT

CHARTS = CHECKOUT / "charts"
HELM_TIMEOUT = "10m"
SYSTEM_NAMESPACE = "kompensa-system"
SHOP_NAMESPACE = "shop"


@dataclass(frozen=True)
class Release:
    """One chart on the cluster.

    Attributes
    ----------
    images
        Where the chart's values name an image -> which image stands there.
    """

    chart: str
    namespace: str
    images: Mapping[str, str] = field(default_factory=dict)


RELEASES = (
    Release("backbone", SYSTEM_NAMESPACE, {"kafka.image": "kafka", "connect.image": "connect"}),
    Release("kompensa", SYSTEM_NAMESPACE, {"image": "kompensa", "postgres.image": "postgres"}),
    Release(
        "shop",
        SHOP_NAMESPACE,
        {
            "postgres.image": "postgres",
            **{f"{name}.image": name for name in ("orders", "inventory", "payments", "invoices", "shipping")},
        },
    ),
)


def install(cluster: KindCluster, images: Mapping[str, str], report: Report) -> None:
    """Install or upgrade each release and wait until it is ready."""
    for release in RELEASES:
        with report.stage(f"chart {release.chart}") as stage:
            values = cluster.cache.state / f"values-{release.chart}.json"
            values.write_text(json.dumps(image_values(release, images), indent=2), encoding="utf-8")
            stage.runner.run(upgrade_command(release, cluster, values))


def upgrade_command(release: Release, cluster: KindCluster, values: Path) -> Command:
    target: Command = [release.chart, CHARTS / release.chart, "--namespace", release.namespace, "--create-namespace"]
    waiting = ["--wait", "--timeout", HELM_TIMEOUT, "--dependency-update"]
    helm: Command = [cluster.cache.bin / "helm", "--kubeconfig", cluster.kubeconfig, "upgrade", "--install"]
    return [*helm, *target, *waiting, "--values", values]


def image_values(release: Release, images: Mapping[str, str]) -> dict[str, object]:
    """Helm values that put each image where the chart's values expect it: registry, repository and tag apart."""
    values: dict[str, object] = {}
    for path, name in release.images.items():
        repository, _, tag = images[name].rpartition(":")
        registry, _, rest = repository.partition("/")
        image = {"registry": registry, "repository": rest, "tag": tag, "pullPolicy": "IfNotPresent"}
        place(values, path.split("."), image)
    return values


def place(values: dict[str, object], path: list[str], leaf: object) -> None:
    """Set values.a.b.c = leaf, making the tables between."""
    *tables, last = path
    for name in tables:
        nested = values.setdefault(name, {})
        if not isinstance(nested, dict):
            raise TypeError(f"{'.'.join(path)} runs through a value that is no table")
        values = nested
    values[last] = leaf
