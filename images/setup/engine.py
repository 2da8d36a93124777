"""The container engine: which one serves here, and the arguments it wants.

podman and docker take the same words for almost everything. This file has the differences, and the needs of podman on
small or restricted machines. Nothing of the machine's own configuration is changed: podman reads a
containers.conf of the project's through CONTAINERS_CONF.
"""

import os
import resource
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from images.setup.cache import Cache
from images.setup.commands import output_of
from images.setup.errors import SetupError

ENGINES = ("docker", "podman")
CGROUP_V2_MARK = Path("/sys/fs/cgroup/cgroup.controllers")
REGISTRY = "localhost"
NETWORK = "kind"
PODMAN_LIMIT = 20000


@dataclass(frozen=True)
class Engine:
    """An engine that answers. `environment` goes with each of its commands and with kind's."""

    program: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def ask(self, *words: str, timeout: float = 60.0) -> str | None:
        """A short question; None when the engine says no."""
        return output_of([self.program, *words], env=self.environment, timeout=timeout)

    def has_image(self, image: str) -> bool:
        return self.ask("image", "inspect", "--format", "{{.Id}}", image) is not None

    def build_command(
        self, *, image: str, context: Path, arguments: Mapping[str, str], labels: Mapping[str, str]
    ) -> list[str]:
        """Build `context`/Containerfile as `image`."""
        command = [self.program, "build", "--file", str(context / "Containerfile"), "--tag", image, "--network", "host"]
        if self.program == "podman":
            # chroot needs no privileges that a container-less machine lacks; the docker format keeps HEALTHCHECK.
            command += ["--isolation", "chroot", "--format", "docker", "--layers"]
        for name, value in sorted(arguments.items()):
            command += ["--build-arg", f"{name}={value}"]
        for name, value in sorted(labels.items()):
            command += ["--label", f"{name}={value}"]
        return [*command, str(context)]

    def save_command(self, images: Sequence[str], target: Path) -> list[str]:
        """Several images in one archive: a layer they share is stored once."""
        several = ["--multi-image-archive"] if self.program == "podman" else []
        return [self.program, "save", *several, "--output", str(target), *images]


def detect(cache: Cache, environment: Mapping[str, str] = os.environ) -> Engine | None:
    """The engine of CONTAINER_ENGINE; else Docker, then podman, whichever answers; None when neither does.

    Raises
    ------
    SetupError
        When CONTAINER_ENGINE names something that is not known or does not answer.
    """
    chosen = environment.get("CONTAINER_ENGINE")
    if chosen and chosen not in ENGINES:
        raise SetupError(f"CONTAINER_ENGINE={chosen} is not known; use docker or podman")
    for program in [chosen] if chosen else ENGINES:
        engine = Engine(program, _environment(program, cache))
        if shutil.which(program) and engine.ask("info", "--format", "{{.Host}}" if program == "podman" else "{{.ID}}"):
            return engine
    if chosen:
        raise SetupError(f"CONTAINER_ENGINE={chosen}, but `{chosen} info` fails; start it or choose the other one")
    return None


def _environment(program: str, cache: Cache) -> Mapping[str, str]:
    if program != "podman":
        return {}
    path = cache.state / "containers.conf"
    text = containers_conf(
        cgroup_v2=CGROUP_V2_MARK.exists(),
        runc=shutil.which("runc") is not None,
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    )
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return {"CONTAINERS_CONF": str(path), "KIND_EXPERIMENTAL_PROVIDER": "podman", "BUILDAH_FORMAT": "docker"}


def containers_conf(*, cgroup_v2: bool, runc: bool, open_files: int) -> str:
    """podman's settings: crun refuses hybrid cgroups, and podman asks for more open files than a hard limit allows."""
    lines = []
    limit = min(PODMAN_LIMIT, open_files) if open_files != resource.RLIM_INFINITY else PODMAN_LIMIT
    if not cgroup_v2:
        lines += ["[containers]", f'default_ulimits = ["nofile={limit}:{limit}", "nproc={limit}:{limit}"]']
    if not cgroup_v2 and runc:
        lines += ["[engine]", 'runtime = "runc"']
    return "".join(f"{line}\n" for line in lines)
