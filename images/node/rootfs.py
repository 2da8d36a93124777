"""Composing the node's root file system: Debian, kind's own node files, Kubernetes' programs and our additions.

It follows the Dockerfile of kind's base image step by step. kind's files are taken from its Go module at build time;
none is copied into this repository.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from images.setup.commands import Runner, output_of
from images.setup.errors import SetupError
from images.setup.versions import IMAGES

OVERLAY = IMAGES / "node" / "files"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "util-linux", "mount", "kmod", "libseccomp2", "procps"),
    *("containerd", "runc", "containernetworking-plugins"),
    *("conntrack", "iptables", "nftables", "ipset", "iproute2", "ethtool", "socat"),
    *("bash", "ca-certificates", "curl", "jq"),
)
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
SERVICES = ("kubelet", "containerd", "undo-mount-hacks", "kompensa-isolate", "kompensa-volumes")
# Units that make no sense in a container: they wait for hardware, or undo what the engine has set up.
STRAY_UNITS = (
    "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
    "lib/systemd/system/multi-user.target.wants/*",
    "etc/systemd/system/*.wants/*",
    "lib/systemd/system/local-fs.target.wants/*",
    "lib/systemd/system/sockets.target.wants/*udev*",
    "lib/systemd/system/sockets.target.wants/*initctl*",
    "lib/systemd/system/basic.target.wants/*",
)
# Settings that containerd may not ask for if the engine lacks CAP_SYS_RESOURCE; the limits it inherits are enough.
REFUSED_SETTINGS = ("LimitNPROC", "LimitCORE", "LimitNOFILE", "OOMScoreAdjust")


@dataclass(frozen=True)
class NodeParts:
    """The parts of the root file system other than Debian's packages."""

    debian: Path
    kind_module: Path
    kubernetes: Path
    kubernetes_version: str


def compose(rootfs: Path, parts: NodeParts, runner: Runner) -> None:
    """Fill the empty folder `rootfs` with a node that kind can boot."""
    runner.run(["tar", "--extract", "--numeric-owner", "--preserve-permissions", "-C", rootfs, "-f", parts.debian])
    copy_kind_files(parts.kind_module / "images/base/files", rootfs)
    shutil.copytree(OVERLAY, rootfs, dirs_exist_ok=True)
    install_programs(rootfs, parts.kubernetes)
    adapt_containerd(rootfs)
    settle_systemd(rootfs, runner)
    (rootfs / "etc/kubernetes/manifests").mkdir(parents=True, exist_ok=True)
    (rootfs / "kind/version").write_text(f"v{parts.kubernetes_version}", encoding="utf-8")


def copy_kind_files(source: Path, rootfs: Path) -> None:
    """kind's entrypoint, units and configuration, with the modes its Dockerfile gives them."""
    for path in source.rglob("*"):
        if not path.is_file():
            continue
        relative = path.relative_to(source)
        target = rootfs / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        executable = relative.parts[:3] == ("usr", "local", "bin") or relative.parts[:2] == ("kind", "bin")
        target.chmod(0o755 if executable else 0o644)


def install_programs(rootfs: Path, kubernetes: Path) -> None:
    for program in ("kubeadm", "kubelet", "kubectl"):
        shutil.copy2(kubernetes / program, rootfs / "usr/bin" / program)
    plugins = rootfs / "opt/cni/bin"
    plugins.mkdir(parents=True)
    for plugin in CNI_PLUGINS:
        shutil.copy2(rootfs / "usr/lib/cni" / plugin, plugins / plugin)
    # kind's unit starts containerd from here.
    (rootfs / "usr/local/bin/containerd").symlink_to("/usr/bin/containerd")


def adapt_containerd(rootfs: Path) -> None:
    """Let containerd run without CAP_SYS_RESOURCE."""
    unit = rootfs / "etc/systemd/system/containerd.service"
    unit.write_text(without_settings(unit.read_text(encoding="utf-8"), REFUSED_SETTINGS), encoding="utf-8")
    config = rootfs / "etc/containerd/config.toml"
    text = config.read_text(encoding="utf-8")
    if "restrict_oom_score_adj = false" not in text:
        raise SetupError(f"{config}: kind's file no longer sets restrict_oom_score_adj; adapt node/rootfs.py")
    config.write_text(text.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true"), encoding="utf-8")
    spec = output_of(["chroot", rootfs, "ctr", "oci", "spec"])
    if spec is None:
        raise SetupError("`ctr oci spec` failed inside the node's root file system")
    (rootfs / "etc/containerd/cri-base.json").write_text(json.dumps(pod_spec(json.loads(spec))), encoding="utf-8")


def without_settings(unit: str, names: Iterable[str]) -> str:
    """A systemd unit without the lines that set any of `names`."""
    refused = tuple(f"{name}=" for name in names)
    return "".join(line for line in unit.splitlines(keepends=True) if not line.startswith(refused))


def pod_spec(default: dict[str, object]) -> dict[str, object]:
    """containerd's default container spec, with kind's hook and without limits above what the node itself has."""
    process = default.get("process")
    if not isinstance(process, dict):
        raise SetupError("`ctr oci spec` printed no process section")
    hook = {"path": "/kind/bin/mount-product-files.sh"}
    trimmed = {name: value for name, value in process.items() if name != "rlimits"}
    return {**default, "process": trimmed, "hooks": {"createContainer": [hook]}}


def settle_systemd(rootfs: Path, runner: Runner) -> None:
    for pattern in STRAY_UNITS:
        for path in rootfs.glob(pattern):
            path.unlink()
    with (rootfs / "etc/systemd/journald.conf").open("a", encoding="utf-8") as journald:
        journald.write("ReadKMsg=no\n")
    runner.run(["chroot", rootfs, "systemctl", "enable", *SERVICES])
    runner.run(["chroot", rootfs, "systemctl", "mask", "systemd-binfmt.service"])
