"""Which node image kind is given, and building ours where none can be pulled.

Order: NODE_IMAGE when set; kind's published image when the engine has or can pull it; else ours. Ours takes about
15 minutes the first time, nearly all of it Go builds, which stay in the cache one by one.
"""

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from images.node import rootfs, system_images
from images.setup import go, packages
from images.setup.cache import Cache
from images.setup.commands import Runner
from images.setup.digest import key_of
from images.setup.engine import REGISTRY, Engine
from images.setup.errors import SetupError
from images.setup.pull import pulled
from images.setup.rootfs import RootFileSystem
from images.setup.stages import Report
from images.setup.versions import IMAGES, Versions

PULL_SECONDS = 900.0
ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
ENTRYPOINT = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
CHANGES = (ENTRYPOINT, "ENV container=docker", "STOPSIGNAL SIGRTMIN+3")
NODE_RECIPE = ("node/files", "node/bake.sh", "node/pause.c", "node/rootfs.py", "node/system_images.py")


@dataclass(frozen=True)
class NodeImage:
    """The image for `kind create cluster --image`."""

    name: str
    ours: bool


def own_image(versions: Versions) -> str:
    """The name of the node image that this checkout builds."""
    programs = [program.key() for program in (go.kubernetes(versions), go.etcd(), go.coredns(), go.kind())]
    key = key_of(_debian(versions).key(), _proxy(versions).key(), *programs, *(IMAGES / path for path in NODE_RECIPE))
    return f"{REGISTRY}/kompensa/node:{key}"


def ensure(
    engine: Engine, cache: Cache, versions: Versions, report: Report, environment: Mapping[str, str] = os.environ
) -> NodeImage:
    """The node image to use, pulled or built when it is not there yet."""
    if chosen := environment.get("NODE_IMAGE"):
        return NodeImage(chosen, ours=False)
    own = own_image(versions)
    if engine.has_image(own):
        return NodeImage(own, ours=True)
    if _pulled(engine, versions.published_node, report):
        return NodeImage(versions.published_node, ours=False)
    build(own, engine, cache, versions, report)
    return NodeImage(own, ours=True)


def build(image: str, engine: Engine, cache: Cache, versions: Versions, report: Report) -> None:
    """Build our node image and hand it to the engine."""
    if os.geteuid() != 0 or platform.system() != "Linux":
        raise SetupError(
            f"{versions.published_node} cannot be pulled, and building a node image needs root on Linux: "
            "run as root, or set NODE_IMAGE to one that the engine has"
        )
    packages.ensure(report, packages.NODE_BUILD)
    programs, kind_module = _programs(cache, versions, report)
    debian = _debian(versions).tar(cache, report)
    with cache.scratch() as scratch:
        root = scratch / "rootfs"
        root.mkdir()
        with report.stage("node: put together") as stage:
            parts = rootfs.NodeParts(debian, kind_module, programs.kubernetes, versions.kubernetes)
            rootfs.compose(root, parts, stage.runner)
        with report.stage("node: system images") as stage:
            _bake(root, programs, versions, stage.runner)
        with report.stage("node: import into the engine") as stage:
            _import(root, scratch / "node.tar", image, engine, stage.runner)


def _pulled(engine: Engine, image: str, report: Report) -> bool:
    if engine.program == "podman" and not engine.has_image(image):
        # A podman without a list of registries cannot resolve a short name, and must not ask which one is meant.
        return False
    return pulled(engine, image, report, stage="node: pull", seconds=PULL_SECONDS, instead="building our own")


def _programs(cache: Cache, versions: Versions, report: Report) -> tuple[system_images.Programs, Path]:
    proxy = _proxy(versions).tar(cache, report)
    kubernetes, etcd, coredns = (
        go.ensure(program, cache, versions, report) for program in (go.kubernetes(versions), go.etcd(), go.coredns())
    )
    with report.stage("node: kind's files and pause") as stage:
        kind_module = go.module_folder(go.kind(), "sigs.k8s.io/kind", cache, versions, stage.runner)

        def compile_pause(folder: Path) -> None:
            system_images.compile_pause(folder / "pause", stage.runner)

        pause = cache.product("pause", key_of(IMAGES / "node/pause.c"), compile_pause) / "pause"
    programs = system_images.Programs(
        kubernetes=kubernetes, etcd=etcd, coredns=coredns, pause=pause, proxy_rootfs=proxy
    )
    return programs, kind_module


def _bake(root: Path, programs: system_images.Programs, versions: Versions, runner: Runner) -> None:
    config = (root / "etc/containerd/config.toml").read_text(encoding="utf-8")
    names = system_images.wanted_names(programs.kubernetes / "kubeadm", versions.kubernetes, config)
    archives = root / "kind/archives"
    archives.mkdir()
    system_images.write_archives(archives, names, programs, ARCHITECTURES[platform.machine()])
    private = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    runner.run([*private, IMAGES / "node/bake.sh", root, "/kind/archives"])
    shutil.rmtree(archives)


def _import(root: Path, tar: Path, image: str, engine: Engine, runner: Runner) -> None:
    runner.run(["tar", "--create", "--numeric-owner", "--one-file-system", "-C", root, "-f", tar, "."])
    changes = [word for change in CHANGES for word in ("--change", change)]
    runner.run([engine.program, "import", *changes, tar, image], env=engine.environment)


def _debian(versions: Versions) -> RootFileSystem:
    return RootFileSystem("node", versions.debian_suite, rootfs.PACKAGES)


def _proxy(versions: Versions) -> RootFileSystem:
    return RootFileSystem("kube-proxy", versions.debian_suite, system_images.PROXY_PACKAGES)
