"""Objects, events and logs, in files for a person to read after a failed test."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.kubectl import Kubectl, KubectlError

SYSTEM = "kompensa-system"
KINDS = "sagas,sagadefinitions,participants,outboxes,replicas,pods,deployments,statefulsets,services,jobs"


def collect(kubectl: Kubectl, folder: Path, *, shop: str = "shop") -> None:
    """Write everything of Kompensa and of the shop in namespace `shop` into `folder`.

    If something cannot be read, its file has the error instead: a broken cluster is likely.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for namespace in (SYSTEM, shop):
        _write(folder / f"{namespace}-objects.yaml", kubectl, "get", KINDS, "-n", namespace, "-o", "yaml")
        _write(
            folder / f"{namespace}-events.txt", kubectl, "get", "events", "-n", namespace, "--sort-by=.lastTimestamp"
        )
        for name in _pods(kubectl, namespace):
            log = folder / f"{namespace}-{name}.log"
            _write(log, kubectl, "logs", "-n", namespace, name, "--all-containers", "--prefix", "--tail=2000")
            _write(log.with_suffix(".previous.log"), kubectl, "logs", "-n", namespace, name, "--previous", "--tail=500")


def _pods(kubectl: Kubectl, namespace: str) -> list[str]:
    try:
        return [pod["metadata"]["name"] for pod in kubectl.items("pods", "-n", namespace)]
    except (KubectlError, subprocess.TimeoutExpired):
        return []


def _write(path: Path, kubectl: Kubectl, *arguments: str) -> None:
    try:
        path.write_text(kubectl.run(*arguments))
    except (KubectlError, subprocess.TimeoutExpired) as error:
        path.write_text(f"cannot be read: {error}\n")
