"""Helm for tests: the program that `make up` uses, on the charts of this checkout."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHARTS = Path(__file__).parents[2] / "charts"


class HelmError(RuntimeError):
    """Helm refused: the message is its own, which is what a user would read."""


@dataclass(frozen=True)
class Helm:
    """Helm, speaking to one cluster; `environment` as for `Kubectl`."""

    environment: Mapping[str, str]

    def upgrade(self, release: str, namespace: str, values: Mapping[str, Any], *, chart: str | None = None) -> None:
        """Install it or set exactly these values, and wait until it is ready."""
        target = [release, str(CHARTS / (chart or release)), "--create-namespace"]
        waiting = ["--reset-values", "--wait", "--timeout", "5m"]
        self._run("upgrade", "--install", *target, *waiting, "-f", "-", namespace=namespace, stdin=json.dumps(values))

    def rollback(self, release: str, namespace: str) -> None:
        self._run("rollback", release, "--wait", "--timeout", "5m", namespace=namespace)

    def uninstall(self, release: str, namespace: str) -> str:
        return self._run("uninstall", release, "--wait", "--timeout", "5m", namespace=namespace)

    def test(self, release: str, namespace: str) -> str:
        return self._run("test", release, "--timeout", "3m", namespace=namespace)

    def values(self, release: str, namespace: str) -> dict[str, Any]:
        """The values that the release was given, chart defaults aside."""
        found: dict[str, Any] = json.loads(self._run("get", "values", release, "-o", "json", namespace=namespace))
        return found or {}

    def _run(self, *arguments: str, namespace: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["helm", *arguments, "-n", namespace],
            input=stdin,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        if done.returncode != 0:
            raise HelmError(f"helm {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def laid_over(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes` laid over them, table by table; neither is touched."""
    result = dict(values)
    for name, change in changes.items():
        old = result.get(name)
        result[name] = laid_over(old, change) if isinstance(old, dict) and isinstance(change, Mapping) else change
    return result
