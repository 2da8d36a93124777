"""The charts on the cluster: `helm upgrade --install`, with the images that were just built as values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from images.cluster.kind import KindCluster
from images.setup.commands import Command
from images.setup.errors import SetupError
from images.setup.shop import SERVICES
from images.setup.stages import Report
from images.setup.versions import CHECKOUT

CHARTS = CHECKOUT / "charts"
NAMESPACES = CHECKOUT / "manifests/kind/namespaces.yaml"
HELM_TIMEOUT = "10m"
SYSTEM_NAMESPACE = "kompensa-system"
SHOP_NAMESPACE = "shop"


@dataclass(frozen=True)
class Release:
    """One chart on the cluster.

    Attributes
    ----------
    images
        Path of an image in the chart's values -> name of the image.
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
            **{f"services.{name}.image": name for name in SERVICES},
        },
    ),
)


def by_chart(settings: Sequence[str]) -> Mapping[str, list[str]]:
    """`shop.faults.enabled=true` -> {"shop": ["faults.enabled=true"]}.

    Raises
    ------
    SetupError
        When one is not of that form or does not name one of our charts.
    """
    chosen: dict[str, list[str]] = {release.chart: [] for release in RELEASES}
    for setting in settings:
        chart, dot, rest = setting.partition(".")
        if chart not in chosen or not dot or "=" not in rest:
            raise SetupError(f"--set {setting}: expected CHART.PATH=VALUE with a chart of {', '.join(chosen)}")
        chosen[chart].append(rest)
    return chosen


def install(cluster: KindCluster, images: Mapping[str, str], settings: Mapping[str, list[str]], report: Report) -> None:
    """Install or upgrade each release and wait until it is ready."""
    with report.stage("namespaces") as stage:
        kubectl: Command = [cluster.cache.bin / "kubectl", "--kubeconfig", cluster.kubeconfig]
        stage.runner.run([*kubectl, "apply", "--server-side", "--field-manager=kompensa", "--filename", NAMESPACES])
    for release in RELEASES:
        with report.stage(f"chart {release.chart}") as stage:
            values = cluster.cache.state / f"values-{release.chart}.json"
            values.write_text(json.dumps(image_values(release, images), indent=2), encoding="utf-8")
            stage.runner.run(upgrade_command(release, cluster, values, settings[release.chart]))


def upgrade_command(release: Release, cluster: KindCluster, images: Path, settings: Sequence[str]) -> Command:
    """Values of the demo cluster (node ports), then the images, then the user's settings."""
    target: Command = [release.chart, CHARTS / release.chart, "--namespace", release.namespace]
    waiting = ["--wait", "--timeout", HELM_TIMEOUT]
    values: Command = ["--values", CHARTS / release.chart / "values-demo.yaml", "--values", images]
    values += [word for setting in settings for word in ("--set", setting)]
    helm: Command = [cluster.cache.bin / "helm", "--kubeconfig", cluster.kubeconfig, "upgrade", "--install"]
    return [*helm, *target, *waiting, *values]


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
