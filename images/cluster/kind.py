"""The kind cluster `kompensa`: reused if healthy, created again if absent or half-dead.

A reboot ends the node container while everything on disk looks as before, so what counts is what answers: the API
server and a Ready node. Repairing a stopped control plane in place has too many half-ways; a new one takes 20 s and the
charts put everything back, but for data in the old volumes, which the report says.
"""

import os
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from images.cluster import ports
from images.node.image import NodeImage
from images.setup.cache import Cache
from images.setup.commands import Command, Runner, output_of
from images.setup.engine import NETWORK, Engine
from images.setup.errors import SetupError
from images.setup.stages import Report
from images.setup.versions import CHECKOUT, IMAGES

NAME = "kompensa"
NODE = f"{NAME}-control-plane"
CONFIG = CHECKOUT / "manifests/kind/cluster.yaml"
ISOLATE = IMAGES / "node/files/usr/local/sbin/kompensa-isolate"
READY_SECONDS = 180.0
ANSWER_SECONDS = 10.0
RETRY_SECONDS = 0.5
MODULES = Path("/lib/modules")
OTHER_IMAGE = "but made from another node image than the one wanted now: `make down` first to change it"


class State(Enum):
    """The state of the cluster."""

    ABSENT = "absent"
    BROKEN = "half-dead"
    UNREACHABLE = "without some of its ports"
    HEALTHY = "healthy"


@dataclass(frozen=True)
class KindCluster:
    """The cluster as kind and kubectl see it."""

    engine: Engine
    cache: Cache

    @property
    def kubeconfig(self) -> Path:
        return self.cache.kubeconfig

    def state(self) -> State:
        clusters = output_of([self.cache.bin / "kind", "get", "clusters"], env=self.engine.environment)
        if NAME not in (clusters or "").split():
            return State.ABSENT
        if not self._answers():
            return State.BROKEN
        return State.UNREACHABLE if self.unpublished() else State.HEALTHY

    def up(self, node_image: NodeImage, report: Report) -> None:
        """Leave a Ready cluster behind, whatever was there."""
        found = self.state()
        if found is State.BROKEN and self._recovers():
            found = self.state()
        with report.stage("cluster") as stage:
            if found is State.HEALTHY:
                ports.require_ours(self._ports())
                stage.note = "found healthy" if self._runs(node_image) else f"found healthy, {OTHER_IMAGE}"
            else:
                self._recreate(node_image, stage.runner)
                stage.note = "created" if found is State.ABSENT else f"was {found.value}: recreated, its data is gone"
            self._isolate(stage.runner)

    def delete(self, runner: Runner) -> None:
        runner.run([self.cache.bin / "kind", "delete", "cluster", "--name", NAME], env=self.engine.environment)
        self.kubeconfig.unlink(missing_ok=True)

    def kubectl(self, *words: str, timeout: float = ANSWER_SECONDS) -> str | None:
        kubectl: Command = [self.cache.bin / "kubectl", "--kubeconfig", self.kubeconfig, *words]
        return output_of(kubectl, timeout=timeout)

    def unpublished(self) -> list[ports.HostPort]:
        """Ports of the configuration that the engine does not publish: it was changed since the cluster was made."""
        published = self.engine.ask("inspect", "--format", "{{json .NetworkSettings.Ports}}", NODE)
        return ports.unpublished(self._ports(), published) if published else []

    def _runs(self, node_image: NodeImage) -> bool:
        """Whether the node was made from this image; an image that is gone from the engine cannot be compared."""
        wanted = self.engine.ask("image", "inspect", "--format", "{{.Id}}", node_image.name)
        used = self.engine.ask("inspect", "--format", "{{.Image}}", NODE)
        return not wanted or not used or wanted.removeprefix("sha256:") == used.removeprefix("sha256:")

    def _ports(self) -> list[ports.HostPort]:
        return ports.ports_of(CONFIG.read_text(encoding="utf-8"))

    def _answers(self) -> bool:
        if self.engine.ask("inspect", "--format", "{{.State.Running}}", NODE) != "true":
            return False
        command: Command = [
            self.cache.bin / "kind",
            "export",
            "kubeconfig",
            "--name",
            NAME,
            "--kubeconfig",
            self.kubeconfig,
        ]
        if output_of(command, env=self.engine.environment) is None:
            return False
        ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
        limit = f"--request-timeout={ANSWER_SECONDS:.0f}s"
        return self.kubectl("get", "nodes", "--output", ready, limit, timeout=2 * ANSWER_SECONDS) == "True"

    def _recovers(self) -> bool:
        """A node that runs but does not answer may only be busy: give it a moment before its data is thrown away."""
        if self.engine.ask("inspect", "--format", "{{.State.Running}}", NODE) != "true":
            return False
        deadline = time.monotonic() + READY_SECONDS / 3
        while time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(RETRY_SECONDS)
        return False

    def _recreate(self, node_image: NodeImage, runner: Runner) -> None:
        self.delete(runner)
        ports.require_free(self._ports())
        _ensure_modules_folder()
        self._ensure_network(runner)
        command: Command = [
            self.cache.bin / "kind",
            "create",
            "cluster",
            "--config",
            CONFIG,
            "--image",
            node_image.name,
        ]
        waiting = ["--wait", f"{READY_SECONDS:.0f}s", "--kubeconfig", str(self.kubeconfig)]
        runner.run([*command, *waiting], env=self.engine.environment)
        if not self._answers():
            raise SetupError(f"the cluster was created but its node is not Ready; see {runner.log}")

    def _ensure_network(self, runner: Runner) -> None:
        """podman's network, before kind makes its own: with podman's DNS off, lookups do not leave through it.

        Not an `--internal` one: that breaks the published port of the API server.
        """
        if self.engine.program != "podman" or self.engine.ask("network", "exists", NETWORK) is not None:
            return
        runner.run([self.engine.program, "network", "create", "--disable-dns", NETWORK], env=self.engine.environment)

    def _isolate(self, runner: Runner) -> None:
        """Take the way out from the node; our image has done so at its start, a published one has not."""
        command = [self.engine.program, "exec", "--interactive", NODE, "sh", "-s"]
        runner.run(command, env=self.engine.environment, stdin=ISOLATE, timeout=60)


def _ensure_modules_folder() -> None:
    """kind mounts /lib/modules into the node; a kernel without modules may have no such folder."""
    if MODULES.exists():
        return
    if os.geteuid() != 0:
        raise SetupError(f"{MODULES} does not exist and kind mounts it: run sudo mkdir -p {MODULES}")
    MODULES.mkdir(parents=True)
