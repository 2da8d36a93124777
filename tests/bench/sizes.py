"""Memory by pod and size by image."""

from __future__ import annotations

import json

from tests.support.cluster import SHOP, SYSTEM, Cluster

MEBIBYTE = 1024 * 1024


def memory(cluster: Cluster) -> list[str]:
    """Working sets as the kubelet reports them: what counts against the limits."""
    node = cluster.kubectl.items("nodes")[0]["metadata"]["name"]
    summary = json.loads(cluster.kubectl.run("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
    used = {
        f"{pod['podRef']['namespace']}/{pod['podRef']['name']}": pod.get("memory", {}).get("workingSetBytes", 0)
        for pod in summary["pods"]
    }
    ours = {name: size for name, size in used.items() if name.split("/")[0] in (SYSTEM, SHOP)}
    shown = [f"{name:<70}{size / MEBIBYTE:8.0f} MiB" for name, size in sorted(ours.items(), key=lambda item: -item[1])]
    return [*shown, f"{'the stack':<70}{sum(ours.values()) / MEBIBYTE:8.0f} MiB"]


def images(cluster: Cluster) -> list[str]:
    """Sizes on the node."""
    node = cluster.kubectl.items("nodes")[0]
    sizes = {
        name: image["sizeBytes"]
        for image in node["status"]["images"]
        for name in image.get("names", [])
        if "/kompensa/" in name
    }
    return [f"{name:<70}{size / MEBIBYTE:8.0f} MiB" for name, size in sorted(sizes.items())]
