"""The images a node needs before it can pull or be given any: control plane, etcd, CoreDNS, kube-proxy, pause.

kubeadm lists the names that it wants. The images of these names are built here, so versions of etcd and CoreDNS follow
versions.toml rather than the tags.
"""

import re
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from images.setup.archive import ImageConfig, layer_of_files, write_archive
from images.setup.commands import Runner, output_of
from images.setup.errors import SetupError
from images.setup.versions import IMAGES

PROXY_PACKAGES = ("iptables", "nftables", "conntrack", "ipset", "kmod")


@dataclass(frozen=True)
class Programs:
    """Folders of built programs, and kube-proxy's root file system (it shells out to iptables)."""

    kubernetes: Path
    etcd: Path
    coredns: Path
    pause: Path
    proxy_rootfs: Path


def wanted_names(kubeadm: Path, kubernetes_version: str, containerd_config: str) -> list[str]:
    """Every image name a node asks for: kubeadm's list and the sandbox of containerd's configuration."""
    listed = output_of([kubeadm, "config", "images", "list", "--kubernetes-version", f"v{kubernetes_version}"])
    sandbox = re.search(r'sandbox_image = "([^"]+)"', containerd_config)
    if not listed or not sandbox:
        raise SetupError(
            "the list of images that the node needs is not known: kubeadm or containerd's configuration names none"
        )
    return [*listed.split(), sandbox[1]]


def program_of(name: str) -> str:
    """`host/path/kube-proxy:v1.2` -> `kube-proxy`."""
    return name.rpartition("/")[2].partition(":")[0]


def write_archives(target: Path, names: list[str], programs: Programs, architecture: str) -> None:
    """One archive a name into the folder `target`."""
    layers: dict[str, tuple[Path, ImageConfig]] = {}
    for index, name in enumerate(names):
        program = program_of(name)
        if program not in layers:
            layers[program] = _layer(target / f"{program}.layer", program, programs)
        layer, config = layers[program]
        write_archive(target / f"{index}.tar", image=name, layer=layer, config=config, architecture=architecture)
    for layer, _ in layers.values():
        layer.unlink()


def _layer(target: Path, program: str, programs: Programs) -> tuple[Path, ImageConfig]:
    def kubernetes() -> ImageConfig:
        layer_of_files(target, {f"/usr/local/bin/{program}": programs.kubernetes / program})
        return ImageConfig()

    def proxy() -> ImageConfig:
        shutil.copyfile(programs.proxy_rootfs, target)
        with tarfile.open(target, "a") as tar:
            tar.add(programs.kubernetes / "kube-proxy", arcname="./usr/local/bin/kube-proxy")
        return ImageConfig()

    def etcd() -> ImageConfig:
        layer_of_files(target, {"/usr/local/bin/etcd": programs.etcd / "etcd"})
        return ImageConfig()

    def coredns() -> ImageConfig:
        layer_of_files(target, {"/coredns": programs.coredns / "coredns"})
        return ImageConfig(entrypoint=["/coredns"])

    def pause() -> ImageConfig:
        layer_of_files(target, {"/pause": programs.pause})
        return ImageConfig(entrypoint=["/pause"])

    makers: Mapping[str, Callable[[], ImageConfig]] = {
        "kube-proxy": proxy,
        "etcd": etcd,
        "coredns": coredns,
        "pause": pause,
    }
    return target, makers.get(program, kubernetes)()


def compile_pause(target: Path, runner: Runner) -> None:
    runner.run(["cc", "-Os", "-static", "-s", "-o", target, IMAGES / "node" / "pause.c"])
