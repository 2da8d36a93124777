"""Renders charts for tests, which get objects to look at instead of text to search."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).parents[1]
KUBERNETES = "1.34.4"
# A rendering needs 90 MB without Go's garbage collector, and a quarter less time.
ENVIRONMENT = {**os.environ, "GOGC": "off"}
Object = dict[str, Any]

INSTALLED = {"kompensa": "kompensa-system", "backbone": "kompensa-system", "postgres": "data", "shop": "shop"}
"""The charts that can be installed, and a namespace for each."""

# Values under which each chart shows all that it can render, in addition to its defaults.
VARIANTS: dict[str, dict[str, Any]] = {
    "kompensa": {"watchNamespaces": ["shop", "crm"], "api": {"nodePort": 30080}, "engine": {"replicas": 3}},
    "backbone": {"kafka": {"external": {"enabled": True}}, "connect": {"nodePort": 30087}},
    "postgres": {
        "databases": [
            {"database": "crm", "capture": {"role": "crm_capture", "secret": "crm-capture"}},
            {"database": "shared", "owner": "a", "schema": "a", "publications": ["kompensa_shop_a"]},
        ]
    },
    "shop": {"isolation": "schema", "faults": {"enabled": True}},
}
MATRIX = [(chart, values) for chart in INSTALLED for values in ({}, VARIANTS[chart])]


@dataclass(frozen=True)
class Pod:
    """The pod that an object makes."""

    owner: Object
    spec: Object
    labels: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.owner['kind']}/{self.owner['metadata']['name']}"

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def serving(self) -> bool:
        return bool(self.owner["kind"] != "Job")

    def environment(self) -> dict[str, Object]:
        return {entry["name"]: entry for container in self.containers for entry in container.get("env", [])}


class Rendering:
    """The objects of one `helm template`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.objects: list[Object] = [document for part in text.split("\n---\n") if (document := _read(part))]

    def of(self, *kinds: str) -> list[Object]:
        return [item for item in self.objects if item["kind"] in kinds]

    def one(self, kind: str, name: str) -> Object:
        found = [item for item in self.of(kind) if item["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} objects {kind}/{name}; there are {self.names()}"
        return found[0]

    def has(self, kind: str, name: str) -> bool:
        return f"{kind}/{name}" in self.names()

    def names(self) -> list[str]:
        return [f"{item['kind']}/{item['metadata']['name']}" for item in self.objects]

    def pods(self) -> Iterator[Pod]:
        for owner in self.of("Deployment", "StatefulSet", "Job"):
            template = owner["spec"]["template"]
            yield Pod(owner, template["spec"], template["metadata"]["labels"])

    def pod(self, kind: str, name: str) -> Pod:
        return next(pod for pod in self.pods() if pod.name == f"{kind}/{name}")

    def documents(self) -> dict[str, str]:
        """The text of each object by kind and name, for comparisons to the byte."""
        parts = [part for part in self.text.split("\n---\n") if "\nkind:" in part]
        return dict(zip(self.names(), parts, strict=True))


@functools.cache
def _read(document: str) -> Object | None:
    """Two renderings of a chart have most objects in common: each of them is read once, by libyaml's loader."""
    read: Object | None = yaml.load(document, yaml.CSafeLoader)
    return read


class RefusedError(Exception):
    """Helm refuses chart or values; the text is what a user reads."""


@dataclass(frozen=True)
class Helm:
    """The helm program, without a cluster."""

    program: Path

    def render(
        self, chart: str, values: Object | None = None, *, namespace: str | None = None, name: str | None = None
    ) -> Rendering:
        """`helm template` of a chart, by default under its own name; not to be changed.

        Raises RefusedError with Helm's words.
        """
        return self._render(chart, json.dumps(values or {}), namespace or INSTALLED[chart], name or chart)

    @functools.cache  # noqa: B019 -- one Helm a session; renderings are asked for again and again
    def _render(self, chart: str, values: str, namespace: str, name: str) -> Rendering:
        return Rendering(self.run("template", name, str(CHARTS / chart), "--namespace", namespace, values=values))

    def notes(
        self, chart: str, values: Object, folder: Path, *, namespace: str | None = None, name: str | None = None
    ) -> str:
        """The text at the end of an install. `helm template` leaves it out, so a copy of the chart has it as a file."""
        copy = shutil.copytree(CHARTS / chart, folder / chart)
        copied = 'text: {{ include (printf "%s/templates/NOTES.txt" .Chart.Name) . | toJson }}\n'
        (copy / "templates/said.yaml").write_text(copied)
        command = ("template", name or chart, str(copy), "--namespace", namespace or INSTALLED[chart])
        shown = self.run(*command, "--show-only", "templates/said.yaml", values=json.dumps(values))
        return str(yaml.safe_load(shown)["text"])

    def render_on(self, kubeconfig: Path, chart: str, values: Object, *, namespace: str | None = None) -> Rendering:
        """`helm template` that looks into a cluster."""
        command = ("template", chart, str(CHARTS / chart), "--namespace", namespace or INSTALLED[chart])
        text = self.run(*command, "--dry-run=server", "--kubeconfig", str(kubeconfig), values=json.dumps(values))
        return Rendering(text)

    def run(self, *arguments: str, values: str = "{}") -> str:
        command = [str(self.program), *arguments, "--kube-version", KUBERNETES, "--values", "-"]
        done = subprocess.run(
            command, input=values, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != 0:
            raise RefusedError(done.stderr + done.stdout)
        return done.stdout
